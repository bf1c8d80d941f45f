"""The lab's own containerd: its configuration, its network of pods, and the images given to it.

Reference: containerd's `docs/cri/config.md` (version 2 of the file, which 1.6 and later read) and
the CNI plugins `bridge` and `host-local`. Nothing is pulled: images are imported.
"""

import json
import shutil
from pathlib import Path

from tests.lab.commands import LabFailed, run
from tests.lab.mounts import enter_mounts
from tests.lab.oci_image import FilesLayer, ImageConfig, write_image
from tests.lab.processes import Servers, wait_until
from tests.lab.programs import program

NAME = "containerd"
PAUSE = "docker.io/ai-how/pause:1"
IMPORT_S = 300.0
READY_S = 30.0
# Debian's folder and that of upstream.
PLUGIN_FOLDERS = ("/usr/lib/cni", "/opt/cni/bin")


def start_containerd(servers: Servers, data: Path) -> None:
    """Start containerd with nothing in it."""
    file = data / "containerd.toml"
    network = data / "cni"
    network.mkdir(exist_ok=True)
    (network / "pods.conflist").write_text(json.dumps(_network(servers, data), indent=1))
    file.write_text(_configuration(servers, data, network))
    found = shutil.which("containerd")
    if found is None:
        message = "containerd: not on PATH; `make lab-setup` installs it"
        raise LabFailed(message)
    servers.start(NAME, [*enter_mounts(servers), found, "--config", file])


def wait_for_containerd(servers: Servers) -> None:
    """Return when containerd answers on its socket.

    Raises:
        LabFailed: it ended, or does not answer in time.
    """

    def objection() -> str:
        try:
            run(*_ctr(servers), "version", timeout_s=10)
        except LabFailed as error:
            return str(error)
        return ""

    wait_until(servers, [NAME], objection, what="containerd", limit_s=READY_S)


def socket(servers: Servers) -> Path:
    """Return the socket on which containerd answers."""
    return servers.place.run / "containerd.sock"


def import_image(servers: Servers, archive: Path) -> None:
    """Give an OCI archive to containerd, under the name that stands in it.

    Raises:
        LabFailed: the archive is refused, or brings no image.
    """
    command = [*_ctr(servers), "--namespace", "k8s.io", "images", "import", archive]
    said = run(*command, timeout_s=IMPORT_S)
    if "unpacking" not in said:
        message = f"{archive}: expected an image with a name, containerd imported nothing: {said}"
        raise LabFailed(message)


def images(servers: Servers) -> list[str]:
    """Return the names of the images that containerd has."""
    return run(*_ctr(servers), "--namespace", "k8s.io", "images", "list", "--quiet").split()


def write_pause_image(archive: Path) -> None:
    """Write the image that holds each pod's namespaces."""
    layer = FilesLayer({"/pause": program("pause")}, mtime=0)
    write_image(archive, PAUSE, [layer], ImageConfig(["/pause"], user="65535:65535"))


def _ctr(servers: Servers) -> list[str]:
    return ["ctr", "--address", str(socket(servers))]


def _network(servers: Servers, data: Path) -> dict[str, object]:
    """The network of pods: one bridge in the lab's namespace, reached by routing alone."""
    addresses = {
        "type": "host-local",
        "dataDir": str(data / "addresses"),
        "ranges": [[{"subnet": servers.place.pod_network}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "hairpinMode": True,
        "ipam": addresses,
    }
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge]}


def _configuration(servers: Servers, data: Path, network: Path) -> str:
    plugins = next((place for place in PLUGIN_FOLDERS if Path(place, "bridge").exists()), None)
    if plugins is None:
        message = (
            f"bridge: expected the CNI plugin in {' or '.join(PLUGIN_FOLDERS)}, found none; "
            "`make lab-setup` installs containernetworking-plugins"
        )
        raise LabFailed(message)
    # Without the right to lower oom_score_adj (no CAP_SYS_RESOURCE) every sandbox would die.
    return f"""version = 2
root = "{data / "containerd"}"
state = "/run/containerd"
disabled_plugins = [
    "io.containerd.internal.v1.opt",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
]

[grpc]
address = "{socket(servers)}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
disable_tcp_service = true
# Its profile would be loaded into the kernel and stay there.
disable_apparmor = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugins}"
conf_dir = "{network}"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"""
