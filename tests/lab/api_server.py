"""A real Kubernetes API server with its etcd, and nothing else: no node, no controller.

Runs without root. etcd listens on sockets in the directory alone, for whoever reaches etcd holds
every secret. The API server knows people by certificates of its own authority: `kubeconfig` is the
administrator's, `kubeconfig_for` makes one for anybody. Both end when the starter does (unless told
otherwise), and everything they know lies in `directory`.
"""

import base64
import ipaddress
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx
import yaml

from tests.lab.certificates import (
    CertificateAuthority,
    IssuedCertificate,
    write_key,
    write_public_key,
)
from tests.lab.programs import program

LOOPBACK = "127.0.0.1"
READY_S = 60.0
# The API server waits for the watches of others before it ends.
STOP_S = 10.0
# Files in the working directory, for a socket's path holds 107 characters at most; etcd wants the
# form of host and port.
ETCD_SOCKET = "unix://localhost:0"
ETCD_PEER_SOCKET = "unix://localhost:1"
ADMINISTRATOR = "lab-administrator"
_STARTS = 3  # a free port may be taken before it is used


class ApiServerFailed(Exception):
    """etcd or the API server did not start; the end of its log is shown."""


@dataclass
class ApiServer:
    """One control plane of etcd and kube-apiserver.

    `enter` is put before both commands, such as `nsenter --net=…`; `advertise_address` must be
    reachable from where this object lives. Without `port` a free one is chosen at every start but
    kept over `restart`.
    """

    directory: Path
    bind_address: str = LOOPBACK
    advertise_address: str = LOOPBACK
    port: int | None = None
    service_range: str = "10.96.0.0/16"
    enter: Sequence[str] = ()
    flags: Sequence[str] = ()
    etcd_flags: Sequence[str] = ("--unsafe-no-fsync",)
    hosts: Sequence[str] = ()
    dies_with_starter: bool = True
    etcd: subprocess.Popen[bytes] | None = field(default=None, init=False)
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _port: int = field(default=0, init=False)

    @property
    def url(self) -> str:
        """Where the API server answers."""
        return f"https://{self.advertise_address}:{self._port}"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, of mode 0600."""
        return self.directory / "kubeconfig"

    @property
    def authority(self) -> CertificateAuthority:
        """The authority that signs the certificates of server and people."""
        return CertificateAuthority(self._certificates)

    @property
    def service_account_key(self) -> Path:
        """The private key that signs tokens of service accounts."""
        return self._certificates / "sa.key"

    @property
    def _certificates(self) -> Path:
        return self.directory / "pki"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start both and return when the API server calls itself ready.

        Raises:
            ApiServerFailed: one of them ended, or is not ready in time; nothing runs then.
        """
        self._prepare()
        for attempt in range(1, _STARTS + 1):
            self._port = self.port or _free_port(self.bind_address)
            self._write_kubeconfigs()
            try:
                self._start_etcd()
                self.start_api_server()
            except ApiServerFailed as error:
                self.stop()
                if self.port or attempt == _STARTS or "address already in use" not in str(error):
                    raise
            except BaseException:
                self.stop()
                raise
            else:
                return

    def start_api_server(self) -> None:
        """Start the API server alone, on the port that it had; return when it is ready."""
        self.process = self._spawn("kube-apiserver", self._api_server_flags())
        self._wait_until_ready()

    def stop_api_server(self, stop_signal: int = signal.SIGTERM) -> None:
        """End the API server alone, as `stop_signal` does, and wait until it is gone."""
        _end(self.process, stop_signal)
        self.process = None

    def restart_api_server(self) -> None:
        """Stop the API server and start it on the same port; etcd goes on."""
        self.stop_api_server()
        self.start_api_server()

    def stop(self) -> None:
        """End both and wait until they are gone; nothing to end is no error."""
        self.stop_api_server()
        _end(self.etcd, signal.SIGTERM)
        self.etcd = None

    def kubeconfig_for(self, user: str, groups: Iterable[str] = (), server: str = "") -> Path:
        """Return a kubeconfig that makes whoever holds it `user` of `groups`."""
        return self._write_kubeconfig(
            self.directory / f"{user.replace(':', '-')}.kubeconfig",
            self.authority.issue_client(user, groups),
            server or self.url,
        )

    def _prepare(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        self._certificates.mkdir(exist_ok=True)
        self.authority.ensure()
        service = str(next(ipaddress.ip_network(self.service_range).hosts()))
        names = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
        addresses = (LOOPBACK, self.advertise_address, service)
        self.authority.issue_server("apiserver", [*names, *addresses, *self.hosts])
        # Tokens that were given out stay good over a new start.
        if not self.service_account_key.exists():
            write_public_key(write_key(self.service_account_key), self._certificates / "sa.pub")

    def _write_kubeconfigs(self) -> None:
        administrator = self.authority.issue_client(ADMINISTRATOR, ["system:masters"])
        self._write_kubeconfig(self.kubeconfig, administrator, self.url)

    def _write_kubeconfig(self, file: Path, issued: IssuedCertificate, server: str) -> Path:
        user = {
            "client-certificate-data": _encoded(issued.certificate),
            "client-key-data": _encoded(issued.key),
        }
        cluster = {
            "server": server,
            "certificate-authority-data": _encoded(self.authority.certificate),
        }
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": cluster}],
            "users": [{"name": "lab", "user": user}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab"}}],
            "current-context": "lab",
        }
        file.unlink(missing_ok=True)
        file.touch(0o600)
        file.write_text(yaml.safe_dump(content))
        return file

    def _start_etcd(self) -> None:
        self.etcd = self._spawn(
            "etcd",
            [
                "--data-dir=etcd-data",
                "--name=lab",
                f"--listen-client-urls={ETCD_SOCKET}",
                f"--advertise-client-urls={ETCD_SOCKET}",
                f"--listen-peer-urls={ETCD_PEER_SOCKET}",
                f"--initial-advertise-peer-urls={ETCD_PEER_SOCKET}",
                f"--initial-cluster=lab={ETCD_PEER_SOCKET}",
                "--log-level=warn",
                *self.etcd_flags,
            ],
        )

    def _api_server_flags(self) -> list[str]:
        certificates = self._certificates
        flags = [
            f"--etcd-servers={ETCD_SOCKET}",
            f"--bind-address={self.bind_address}",
            f"--advertise-address={self.advertise_address}",
            f"--secure-port={self._port}",
            f"--tls-cert-file={certificates / 'apiserver.crt'}",
            f"--tls-private-key-file={certificates / 'apiserver.key'}",
            f"--client-ca-file={self.authority.certificate}",
            f"--service-account-key-file={certificates / 'sa.pub'}",
            f"--service-account-signing-key-file={self.service_account_key}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-cluster-ip-range={self.service_range}",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged=true",
            "--anonymous-auth=false",
            "--shutdown-watch-termination-grace-period=0s",
        ]
        if ipaddress.ip_address(self.advertise_address).is_loopback:
            # No object Endpoints may hold a loopback address.
            flags.append("--endpoint-reconciler-type=none")
        return [*flags, *self.flags]

    def _spawn(self, name: str, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        leash = ["setpriv", "--pdeathsig", "KILL"] if self.dies_with_starter else []
        if leash and not shutil.which(leash[0]):
            message = f"{leash[0]}: expected it on PATH (package util-linux), found none"
            raise ApiServerFailed(message)
        with self._log(name).open("wb") as log:
            return subprocess.Popen(
                [*leash, *self.enter, str(program(name)), *arguments],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _log(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    def _wait_until_ready(self) -> None:
        administrator = self._certificates / ADMINISTRATOR
        trust = ssl.create_default_context(cafile=str(self.authority.certificate))
        trust.load_cert_chain(f"{administrator}.crt", f"{administrator}.key")
        deadline = time.monotonic() + READY_S
        told = "no answer"
        with httpx.Client(verify=trust, timeout=5, trust_env=False) as client:
            while time.monotonic() < deadline:
                self._fail_if_ended()
                try:
                    answer = client.get(f"{self.url}/readyz")
                    told = f"{answer.status_code} {answer.text}"
                    if answer.is_success:
                        return
                except httpx.TransportError as error:
                    told = str(error)
                time.sleep(0.05)
        message = f"{self.url}/readyz: not ready within {READY_S:g} s: {told}; {self._ends()}"
        raise ApiServerFailed(message)

    def _fail_if_ended(self) -> None:
        for name, process in (("etcd", self.etcd), ("kube-apiserver", self.process)):
            if process is not None and process.poll() is not None:
                message = f"{name} ended with {process.returncode}; {self._ends()}"
                raise ApiServerFailed(message)

    def _ends(self) -> str:
        logs = (self._log("etcd"), self._log("kube-apiserver"))
        return "\n".join(
            f"end of {log}:\n{log.read_text(errors='replace')[-3000:]}"
            for log in logs
            if log.exists()
        )


@contextmanager
def api_server(directory: Path, **settings: object) -> Iterator[ApiServer]:
    """Run an API server in `directory` with these fields of `ApiServer`; stop it at the end."""
    with ApiServer(directory, **settings) as server:  # type: ignore[arg-type]
        yield server


def _end(process: subprocess.Popen[bytes] | None, stop_signal: int) -> None:
    if process is None:
        return
    if process.poll() is None:
        process.send_signal(stop_signal)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_S)


def _free_port(address: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as attempt:
        attempt.bind((address, 0))
        return int(attempt.getsockname()[1])


def _encoded(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
