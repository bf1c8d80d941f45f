"""The floors of software: distribution, kernel, libvirt, QEMU, Python, Ansible, groups.

Where a floor is softer than the requirements on paper, the reason stands beside it. `docs/host.md`
tells people the same.
"""

import re

from packaging.version import InvalidVersion, Version

from platform_assets.infrastructure.floor import Judgement, Rule, Verdict
from platform_assets.spec.pci_names import PciNames
from resources.host import HostFacts, known
from resources.host_files import FactUnread

_DISTRIBUTIONS = {"debian": Version("13"), "ubuntu": Version("22.04")}
_KERNEL = (6, 12)
# Ubuntu 22.04 is wanted as well, and comes with this one: it runs KVM and VFIO as well.
_OLDEST_KERNEL = (5, 15)
_LIBVIRT = Version("9.0")
_QEMU = Version("8.0")
_ANSIBLE = Version("2.14")
_GROUPS = ("libvirt", "kvm")


def _os(facts: HostFacts, _names: PciNames | None) -> Judgement:
    release = known(facts.os)
    wanted = _DISTRIBUTIONS.get(release.id)
    if wanted is None:
        remedy = "not tried on this distribution: look at kernel, libvirt and QEMU below"
        return Judgement(Verdict.WEAK, release.name, remedy)
    if not release.version_id:  # testing and unstable are ahead of every release
        return Judgement(Verdict.HOLDS, release.name)
    try:
        new_enough = Version(release.version_id) >= wanted
    except InvalidVersion as error:
        message = f"/etc/os-release: VERSION_ID: expected a version, found {release.version_id!r}"
        raise FactUnread(message) from error
    if new_enough:
        return Judgement(Verdict.HOLDS, release.name)
    return Judgement(
        Verdict.FAILS, release.name, f"upgrade to {release.id.title()} {wanted} or later"
    )


def _kernel(facts: HostFacts, _names: PciNames | None) -> Judgement:
    release = known(facts.kernel)
    numbers = re.match(r"(\d+)\.(\d+)", release)
    if numbers is None:
        message = f"/proc/sys/kernel/osrelease: expected a version, found {release[:40]!r}"
        raise FactUnread(message)
    version = int(numbers[1]), int(numbers[2])
    if version >= _KERNEL:
        return Judgement(Verdict.HOLDS, release)
    if version >= _OLDEST_KERNEL:
        remedy = "works; a newer one (HWE, backports) knows newer GPUs and boards"
        return Judgement(Verdict.WEAK, release, remedy)
    return Judgement(Verdict.FAILS, release, "install a kernel 6.12 or later (HWE, backports)")


def _libvirt(facts: HostFacts, _names: PciNames | None) -> Judgement:
    packages = "libvirt-daemon-system libvirt-clients"
    return _program(known(facts.libvirt), _LIBVIRT, packages)


def _qemu(facts: HostFacts, _names: PciNames | None) -> Judgement:
    return _program(known(facts.qemu), _QEMU, "qemu-system-x86 qemu-utils ovmf")


def _program(version: str | None, wanted: Version, packages: str) -> Judgement:
    if version is None:
        return Judgement(Verdict.FAILS, "not installed", f"apt install {packages}")
    if Version(version) >= wanted:
        return Judgement(Verdict.HOLDS, version)
    return Judgement(Verdict.FAILS, version, f"upgrade the distribution, or {packages} alone")


def _python(facts: HostFacts, _names: PciNames | None) -> Judgement:
    if Version(facts.python) >= Version("3.11"):
        return Judgement(Verdict.HOLDS, facts.python)
    return Judgement(Verdict.FAILS, facts.python, "`uv python install 3.12`, then `make sync`")


def _ansible(facts: HostFacts, _names: PciNames | None) -> Judgement:
    """Judge an Ansible of the host's own; it is brought in one's own environment, so none is fine.

    Kubespray wants exactly one release of it, which no distribution happens to have.
    """
    version = known(facts.ansible)
    if version is None:
        return Judgement(Verdict.HOLDS, "none of the host's own, none needed")
    if Version(version) >= _ANSIBLE:
        return Judgement(Verdict.HOLDS, f"core {version}")
    remedy = "the host's own is not used, and too old for playbooks run by hand"
    return Judgement(Verdict.WEAK, f"core {version}", remedy)


def _groups(facts: HostFacts, _names: PciNames | None) -> Judgement:
    groups = known(facts.groups)
    if groups.is_root:
        return Judgement(Verdict.HOLDS, "root, who needs none")
    missing = [name for name in _GROUPS if name not in groups.now]
    found = f"{groups.user} is not in {', '.join(missing)}"
    if not missing:
        return Judgement(Verdict.HOLDS, ", ".join(_GROUPS))
    if set(missing) <= set(groups.next_login):
        return Judgement(Verdict.FAILS, found, "log out and in again: the groups are granted")
    remedy = f"sudo usermod -aG {','.join(missing)} {groups.user}; log out and in again"
    return Judgement(Verdict.FAILS, found, remedy)


RULES = (
    Rule("host-os", "Operating system", "Debian 13+ or Ubuntu 22.04+", _os),
    Rule("host-kernel", "Kernel", "6.12+", _kernel),
    Rule("host-libvirt", "libvirt", f"{_LIBVIRT}+", _libvirt),
    Rule("host-qemu", "QEMU", f"{_QEMU}+", _qemu),
    Rule("host-python", "Python", "3.11+", _python),
    Rule("host-ansible", "Ansible", f"none, or core {_ANSIBLE}+", _ansible),
    Rule("host-groups", "Groups", " and ".join(_GROUPS), _groups),
)
