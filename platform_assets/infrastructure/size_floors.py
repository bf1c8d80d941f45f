"""The floors of size: cores, memory, disks, GPUs, network. They are those of the smallest host.

GB and TB are decimal, as disks and documents count; what the kernel keeps of the memory for itself
is allowed for by that alone. Cores are logical ones: a guest's core is a thread of the host.
"""

from platform_assets.infrastructure.floor import Judgement, Rule, Verdict
from platform_assets.infrastructure.gpus import NVIDIA, gpus
from platform_assets.spec.pci_names import PciNames
from resources.host import HostFacts, known
from resources.host_files import FactUnread

_GB_IN_GIB = 10**9 / 2**30
CORES = 16
MEMORY_GB = 64
FREE_GB = 800
DISKS_GB = 1000
GPUS = 2
LINK_MBIT = 1000

_SEQUENTIAL = "run the HPC and the cloud cluster one after the other, with smaller machines"


def _cores(facts: HostFacts, _names: PciNames | None) -> Judgement:
    cpu = known(facts.cpu)
    found = f"{cpu.logical_cores} ({cpu.model})"
    if cpu.logical_cores >= CORES:
        return Judgement(Verdict.HOLDS, found)
    return Judgement(Verdict.FAILS, found, f"a processor with more cores; or {_SEQUENTIAL}")


def _memory(facts: HostFacts, _names: PciNames | None) -> Judgement:
    memory_gib = known(facts.memory_gib)
    found = f"{memory_gib:.1f} GiB"
    if memory_gib >= MEMORY_GB * _GB_IN_GIB:
        return Judgement(Verdict.HOLDS, found)
    return Judgement(Verdict.FAILS, found, f"more memory; or {_SEQUENTIAL}")


def _image_room(facts: HostFacts, _names: PciNames | None) -> Judgement:
    room = known(facts.image_room)
    found = f"{room.free_gib:.0f} of {room.total_gib:.0f} GiB under {room.path}"
    if room.free_gib >= FREE_GB * _GB_IN_GIB:
        return Judgement(Verdict.HOLDS, found)
    return Judgement(
        Verdict.FAILS, found, "free some, or mount a larger disk at /var/lib/libvirt/images"
    )


def _disks(facts: HostFacts, _names: PciNames | None) -> Judgement:
    disks = known(facts.disks)
    total_gib = sum(disk.size_gib for disk in disks)
    each = ", ".join(f"{disk.name} {disk.size_gib:.0f}" for disk in disks)
    found = f"{total_gib:.0f} GiB ({each})" if each else "none"
    if total_gib >= DISKS_GB * _GB_IN_GIB:
        return Judgement(Verdict.HOLDS, found)
    return Judgement(
        Verdict.WEAK, found, "room for models, logs and backups runs short: add a disk, NVMe best"
    )


def _gpus(facts: HostFacts, names: PciNames | None) -> Judgement:
    found = gpus(facts, names)
    good = [gpu for gpu in found if gpu.suffices]
    unsure = [gpu for gpu in found if gpu.suffices is None]
    each = ", ".join(f"{gpu.address} {gpu.name}" for gpu in found) or "none"
    if len(good) >= GPUS:
        return Judgement(Verdict.HOLDS, each)
    if len(good) + len(unsure) >= GPUS:
        message = f"{each}: the list of PCI ids does not tell the chip"
        raise FactUnread(message)
    remedy = "another GPU, Volta or newer; without any, serve on CPUs alone"
    if any(gpu.vendor_id != NVIDIA for gpu in found):
        remedy += "; AMD's are not handed to Kubernetes here"
    return Judgement(Verdict.FAILS, each, remedy)


def _network(facts: HostFacts, _names: PciNames | None) -> Judgement:
    cards = known(facts.network_cards)
    each = [
        f"{card.name} {card.speed_mbit} Mbit/s" if card.speed_mbit else f"{card.name} tells none"
        for card in cards
    ]
    found = ", ".join(each) or "no card"
    if any((card.speed_mbit or 0) >= LINK_MBIT for card in cards):
        return Judgement(Verdict.HOLDS, found)
    remedy = "a faster link: images and models come slowly"
    if not any(card.speed_mbit for card in cards):
        remedy = "a card without a link, or a virtual one, tells no speed: look at the link"
    return Judgement(Verdict.WEAK, found, remedy)


RULES = (
    Rule("host-cores", "CPU cores", f"{CORES} logical", _cores),
    Rule("host-memory", "Memory", f"{MEMORY_GB * _GB_IN_GIB:.1f} GiB ({MEMORY_GB} GB)", _memory),
    Rule(
        "host-image-room",
        "Room for images",
        f"{FREE_GB * _GB_IN_GIB:.0f} GiB free ({FREE_GB} GB)",
        _image_room,
    ),
    Rule("host-disks", "Disks", f"{DISKS_GB * _GB_IN_GIB:.0f} GiB (1 TB)", _disks),
    Rule("host-gpus", "GPUs", f"{GPUS} by NVIDIA, compute capability 7.0+", _gpus),
    Rule("host-network", "Network", "a link of 1 Gbit/s", _network),
)
