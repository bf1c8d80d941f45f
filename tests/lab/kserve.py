"""KServe on the lab: its manager as a process in the lab's network, all else on the cluster.

The API server calls the manager's webhooks by address, with a certificate of an authority made for
them. The manager has the rights of KServe's own role and no more: it acts as its service account.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import httpx
import yaml

from tests.lab import kserve_manifests
from tests.lab.certificates import CertificateAuthority
from tests.lab.commands import run
from tests.lab.images import Image
from tests.lab.kserve_manifests import Manifest
from tests.lab.lab import Lab
from tests.lab.processes import wait_until
from tests.lab.programs import module_directory, program

NAME = "kserve-manager"
KUBECTL = "kubectl"
WEBHOOK_PORT = 9443
PROBE_PORT = 9440
READY_S = 60.0
APPLY_S = 60.0


def ensure_kserve(lab: Lab, model_server: Image, storage_container: Image) -> None:
    """Bring KServe with a runtime and a storage container of these images; return when it works.

    Raises:
        LabFailed: something was refused, or the manager is not ready in time.
    """
    if NAME in lab.servers.living():  # in a lab that several sessions of tests share
        wait_for_manager(lab)
    else:
        _bring_kserve(lab, storage_container)
    apply(
        lab,
        [
            kserve_manifests.serving_runtime(model_server.pinned),
            kserve_manifests.storage_container(storage_container.pinned),
        ],
    )


def _bring_kserve(lab: Lab, storage_container: Image) -> None:
    module = module_directory("kserve", "github.com/kserve/kserve")
    directory = lab.directory / "kserve"
    certificates = directory / "tmp" / "k8s-webhook-server" / "serving-certs"
    certificates.mkdir(parents=True, exist_ok=True)
    authority = CertificateAuthority(directory)
    issued = authority.issue_server("webhook", ["127.0.0.1"])
    issued.certificate.replace(certificates / "tls.crt")
    issued.key.replace(certificates / "tls.key")
    _apply_files(lab, kserve_manifests.definitions(module))
    apply(lab, kserve_manifests.ground(module, storage_container.pinned))
    _wait_until_established(lab, kserve_manifests.definition_names(module))
    _start_manager(lab, directory)
    url = f"https://127.0.0.1:{WEBHOOK_PORT}"
    apply(lab, kserve_manifests.webhooks(module, url, authority.certificate))


def wait_for_manager(lab: Lab) -> None:
    """Return when the manager answers, its webhooks with it.

    Raises:
        LabFailed: it ended, or does not answer in time.
    """

    def objection() -> str:
        try:
            answer = httpx.get(f"http://{lab.address}:{PROBE_PORT}/readyz", timeout=2)
        except httpx.TransportError as error:
            return str(error)
        return "" if answer.is_success else f"{answer.status_code} {answer.text}"

    wait_until(lab.servers, [NAME], objection, what="the KServe manager", limit_s=READY_S)


def apply(lab: Lab, manifests: Iterable[Manifest]) -> None:
    """Apply manifests as the administrator, with kubectl's own field manager.

    Raises:
        LabFailed: the API server refused one.
    """
    listed = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
    kubectl(lab, "apply", "--server-side", "--force-conflicts", "-f", "-", given=json.dumps(listed))


def kubectl(lab: Lab, *words: object, given: str | None = None) -> str:
    """Run kubectl on the lab's cluster; return what it wrote.

    Raises:
        LabFailed: it failed.
    """
    own = [f"--kubeconfig={lab.kubeconfig}", f"--cache-dir={lab.directory / 'kubectl'}"]
    command = [program(KUBECTL), *own, *words]
    return run(*command, given=given, timeout_s=APPLY_S)


def _apply_files(lab: Lab, files: Sequence[Path]) -> None:
    named = [word for file in files for word in ("-f", file)]
    kubectl(lab, "apply", "--server-side", "--validate=false", *named)


def _wait_until_established(lab: Lab, names: Sequence[str]) -> None:
    resources = [f"crd/{name}" for name in names]
    kubectl(lab, "wait", "--for=condition=Established", "--timeout=30s", *resources)


def _start_manager(lab: Lab, directory: Path) -> None:
    kubeconfig = directory / "kubeconfig"
    configured = yaml.safe_load(lab.kubeconfig.read_text())
    account = f"{kserve_manifests.NAMESPACE}:{kserve_manifests.SERVICE_ACCOUNT}"
    configured["users"][0]["user"]["as"] = f"system:serviceaccount:{account}"
    kubeconfig.touch(0o600)
    kubeconfig.write_text(yaml.safe_dump(configured))
    flags = [
        f"--webhook-port={WEBHOOK_PORT}",
        f"--health-probe-addr={lab.address}:{PROBE_PORT}",
        "--metrics-addr=0",
    ]
    environment = {
        "KUBECONFIG": str(kubeconfig),
        "POD_NAMESPACE": kserve_manifests.NAMESPACE,
        "TMPDIR": str(directory / "tmp"),
    }
    lab.servers.start(NAME, [program(NAME), *flags], environment=environment)
    wait_for_manager(lab)
