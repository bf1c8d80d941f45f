"""What a lab needs from this machine's packages; installed by `make lab-setup` and nothing else.

Packages of servers would start them: a policy that forbids it lies in place while apt works.
Reference: invoke-rc.d(8), "policy-rc.d".
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.commands import LabFailed, run

# A command that tells whether its package is there, and the package.
PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "ip": "iproute2",
    "nft": "nftables",
    "mmdebstrap": "mmdebstrap",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}
POLICY = Path("/usr/sbin/policy-rc.d")
FORBID = "#!/bin/sh\n# No server is started by its installation.\nexit 101\n"
APT_S = 900.0
# Somebody else's apt may be at work.
APT = ("apt-get", "-qq", "-y", "-o", "DPkg::Lock::Timeout=300")


def missing_packages() -> list[str]:
    """Return the packages that are not installed."""
    return [package for command, package in PACKAGES.items() if shutil.which(command) is None]


def ensure_packages() -> list[str]:
    """Install what is missing, and return it.

    Raises:
        LabFailed: not root, no apt, or apt failed.
    """
    missing = missing_packages()
    if not missing:
        return []
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        message = f"{', '.join(missing)}: missing; installing them needs root and apt-get"
        raise LabFailed(message)
    with _no_server_starts():
        environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
        run(*environment, *APT, "update", timeout_s=APT_S)
        install = ["install", "--no-install-recommends", *missing]
        run(*environment, *APT, *install, timeout_s=APT_S)
    still = missing_packages()
    if still:
        message = f"{', '.join(still)}: installed by apt, but their commands are not on PATH"
        raise LabFailed(message)
    return missing


@contextmanager
def _no_server_starts() -> Iterator[None]:
    """Put the policy in place; one that is there already is the machine's own and stays."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text(FORBID)
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)
