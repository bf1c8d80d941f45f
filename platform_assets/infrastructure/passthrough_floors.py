"""The floors of virtualisation: KVM, IOMMU, and GPUs that can be handed whole to a guest.

References: https://docs.kernel.org/driver-api/vfio.html,
https://libvirt.org/formatdomain.html#host-device-assignment
"""

from platform_assets.infrastructure.floor import Judgement, Rule, Verdict
from platform_assets.infrastructure.gpus import NVIDIA, Gpu, device_name, gpus, holders
from platform_assets.spec.pci_names import PciNames
from resources.host import HostFacts, known

_VFIO = "vfio-pci"
_NO_GPU = "no GPU by NVIDIA"


def _nvidia(facts: HostFacts, names: PciNames | None) -> list[Gpu]:
    return [gpu for gpu in gpus(facts, names) if gpu.vendor_id == NVIDIA]


def _virtualization(facts: HostFacts, _names: PciNames | None) -> Judgement:
    cpu = known(facts.cpu)
    if cpu.virtualization is not None:
        return Judgement(Verdict.HOLDS, cpu.virtualization)
    if "kvm_pvm" in known(facts.modules):
        remedy = "guests run by PVM, in software: no GPU can be handed on from this machine"
        return Judgement(Verdict.WEAK, "neither; KVM by kvm_pvm", remedy)
    remedy = "enable Intel VT-x or AMD-V (SVM) in the firmware"
    if cpu.is_virtual:
        remedy = "this is a virtual machine: let its hypervisor allow nested virtualisation"
    return Judgement(Verdict.FAILS, "neither", remedy)


def _bare(facts: HostFacts, _names: PciNames | None) -> Judgement:
    if not known(facts.cpu).is_virtual:
        return Judgement(Verdict.HOLDS, "bare machine")
    remedy = "guests are slow; GPUs need a hypervisor that hands on GPU and virtual IOMMU"
    return Judgement(Verdict.WEAK, "a virtual machine", remedy)


def _kvm(facts: HostFacts, _names: PciNames | None) -> Judgement:
    kvm = known(facts.kvm)
    if kvm.accessible:
        return Judgement(Verdict.HOLDS, "/dev/kvm opens")
    if kvm.present:
        user = known(facts.groups).user
        remedy = f"sudo usermod -aG kvm {user}; log out and in again"
        return Judgement(Verdict.FAILS, f"/dev/kvm, closed to {user}", remedy)
    remedy = "enable virtualisation in the firmware; sudo modprobe kvm_intel, or kvm_amd"
    return Judgement(Verdict.FAILS, "no /dev/kvm", remedy)


def _iommu(facts: HostFacts, _names: PciNames | None) -> Judgement:
    groups = known(facts.iommu_groups)
    if groups:
        return Judgement(Verdict.HOLDS, f"{len(groups)} groups")
    cpu = known(facts.cpu)
    remedy = "enable Intel VT-d or AMD-Vi in the firmware"
    if cpu.is_virtual:
        remedy = "this is a virtual machine: let its hypervisor give it a virtual IOMMU"
    elif cpu.virtualization == "vmx" and "intel_iommu=on" not in known(facts.iommu_parameters):
        remedy += ", add intel_iommu=on iommu=pt to the kernel's command line, restart"
    return Judgement(Verdict.FAILS, "no group: it is off", remedy)


def _isolation(facts: HostFacts, names: PciNames | None) -> Judgement:
    found = _nvidia(facts, names)
    if not found:
        return Judgement(Verdict.HOLDS, _NO_GPU)
    devices = {device.address: device for device in known(facts.pci_devices)}
    if not known(facts.iommu_groups):
        remedy = "switch the IOMMU on first: see the floor IOMMU"
        return Judgement(Verdict.FAILS, "no group: the IOMMU is off", remedy)
    outside = [gpu.address for gpu in found if gpu.iommu_group is None]
    if outside:
        remedy = "another slot: the IOMMU does not watch this one"
        return Judgement(Verdict.FAILS, f"{', '.join(outside)} in no group", remedy)
    shared = [gpu for gpu in found if gpu.strangers]
    if not shared:
        each = ", ".join(f"{gpu.address} in {gpu.iommu_group}" for gpu in found)
        return Judgement(Verdict.HOLDS, each)
    told = [
        f"{gpu.address} in {gpu.iommu_group} with "
        + ", ".join(
            f"{address} {device_name(devices[address], names)}" if address in devices else address
            for address in gpu.strangers
        )
        for gpu in shared
    ]
    remedy = "another slot (one wired to the CPU), or ACS in the firmware; a group goes as a whole"
    return Judgement(Verdict.FAILS, "; ".join(told), remedy)


def _nouveau(facts: HostFacts, names: PciNames | None) -> Judgement:
    found = _nvidia(facts, names)
    bound = [gpu.address for gpu in found if gpu.driver == "nouveau"]
    remedy = (
        "`blacklist nouveau` in /etc/modprobe.d/nouveau.conf, sudo update-initramfs -u, restart"
    )
    if bound:
        return Judgement(Verdict.FAILS, f"bound to {', '.join(bound)}", remedy)
    if "nouveau" in known(facts.modules):
        return Judgement(Verdict.WEAK, "loaded, bound to no GPU", remedy)
    if "nouveau" in known(facts.blacklisted):
        return Judgement(Verdict.HOLDS, "blacklisted")
    if any(gpu.driver != _VFIO for gpu in found):
        return Judgement(Verdict.WEAK, "not loaded, not blacklisted", remedy)
    return Judgement(Verdict.HOLDS, "not loaded")


def _gpu_drivers(facts: HostFacts, names: PciNames | None) -> Judgement:
    found = _nvidia(facts, names)
    if not found:
        return Judgement(Verdict.HOLDS, _NO_GPU)
    each = ", ".join(f"{gpu.address} {gpu.driver or 'none'}" for gpu in found)
    taken = [gpu for gpu in found if gpu.driver not in (_VFIO, None)]
    if not taken:
        return Judgement(Verdict.HOLDS, each)
    ids = ",".join(sorted({f"{gpu.vendor_id}:{gpu.device_id}" for gpu in taken}))
    remedy = f"`options vfio-pci ids={ids}` in /etc/modprobe.d/vfio.conf, initramfs, restart"
    if any(gpu.drew_boot_screen for gpu in taken):
        remedy += "; the host's screen needs another one"
    return Judgement(Verdict.WEAK, each, remedy)


def _nvidia_driver(facts: HostFacts, _names: PciNames | None) -> Judgement:
    """Judge NVIDIA's driver: 535 or later is wanted inside the guest, where the GPU is used.

    On the host it only holds what the guest should get.
    """
    version = known(facts.nvidia_driver)
    if version is None:
        return Judgement(Verdict.HOLDS, "none")
    remedy = "the guest brings its own: let vfio-pci take the GPUs, or remove it"
    return Judgement(Verdict.WEAK, version, remedy)


def _gpu_holders(facts: HostFacts, names: PciNames | None) -> Judgement:
    found = _nvidia(facts, names)
    if not found:
        return Judgement(Verdict.HOLDS, _NO_GPU)
    held = [
        (gpu, holder, holder.startswith("qemu")) for gpu in found for holder in holders(gpu, facts)
    ]
    each = "; ".join(f"{gpu.address} by {holder}" for gpu, holder, _ in held)
    if any(not is_guest for *_, is_guest in held):
        remedy = (
            "end them: a GPU that is held cannot change its driver (sudo fuser -v /dev/nvidia*)"
        )
        return Judgement(Verdict.FAILS, each, remedy)
    if held:
        remedy = "a running guest has it; stop the guest before another gets it"
        return Judgement(Verdict.WEAK, each, remedy)
    hidden = known(facts.processes).hidden
    driven = any(gpu.driver not in (_VFIO, None) for gpu in found)
    if driven and hidden and not known(facts.groups).is_root:
        seen = f"none seen, {hidden} processes hide their files from this user"
        return Judgement(Verdict.UNKNOWN, seen, "ask again as root")
    return Judgement(Verdict.HOLDS, "nobody")


RULES = (
    Rule("host-virtualization", "CPU virtualisation", "vmx or svm", _virtualization),
    Rule("host-bare", "Kind of machine", "not itself a guest", _bare),
    Rule("host-kvm", "KVM", "/dev/kvm, open to the user", _kvm),
    Rule("host-iommu", "IOMMU", "on", _iommu),
    Rule("host-gpu-isolation", "GPU isolation", "an IOMMU group of its own", _isolation),
    Rule("host-nouveau", "nouveau", "never loaded", _nouveau),
    Rule("host-gpu-drivers", "GPU drivers", "vfio-pci, or none", _gpu_drivers),
    Rule("host-nvidia-driver", "NVIDIA driver", "none here, 535+ in the guest", _nvidia_driver),
    Rule("host-gpu-holders", "GPUs held by", "nobody", _gpu_holders),
)
