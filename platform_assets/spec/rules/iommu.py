"""Rules about what a machine must get together: groups of the IOMMU, and a GPU's audio function.

VFIO gives a group to one machine, or to none. PCI bridges of a group stay with the host.
Source: https://docs.kernel.org/driver-api/vfio.html
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import combinations

from platform_assets.spec.devices import (
    MAX_FUNCTION,
    Passed,
    PciAddress,
    devices_of,
    is_gpu,
    passed_devices,
    pci_address,
    run_together,
)
from platform_assets.spec.findings import Finding, Path, Severity
from platform_assets.spec.gpu_names import (
    audio_functions,
    has_no_audio,
    is_audio,
    should_have_audio,
)
from platform_assets.spec.model.estate import Estate
from platform_assets.spec.rules.grounds import Grounds, HostDevice, Rule
from platform_assets.spec.rules.model_labels import model_labels

HostDevices = Mapping[PciAddress, HostDevice]


def _host_devices(grounds: Grounds) -> HostDevices:
    found = {pci_address(device.address): device for device in grounds.devices or ()}
    return {address: device for address, device in found.items() if address is not None}


def _group(passed: Passed, host: HostDevices) -> int | None:
    """Return a device's group: as the host has it, else as declared."""
    found = host.get(passed.address) if passed.address is not None else None
    return passed.device.iommu_group if found is None else found.iommu_group


def groups_of_one_machine(estate: Estate, grounds: Grounds) -> Iterator[Finding]:
    """All devices of an IOMMU group go to one machine at a time."""
    host = _host_devices(grounds)
    groups: defaultdict[int, list[Passed]] = defaultdict(list)
    for each in passed_devices(estate):
        if (group := _group(each, host)) is not None:
            groups[group].append(each)
    told: set[tuple[int, Path, Path]] = set()
    pairs = ((group, pair) for group, of in groups.items() for pair in combinations(of, 2))
    for group, (first, second) in pairs:
        between = (group, first.placed.path, second.placed.path)
        if (
            first.placed.path != second.placed.path
            and first.address != second.address
            and run_together(estate, first.placed.cluster, second.placed.cluster)
            and between not in told
        ):
            told.add(between)
            yield Finding(
                "iommu-group-split",
                Severity.ERROR,
                second.path,
                f"IOMMU group {group} is split: {first.device.pci_address} goes to "
                f"{first.owner}, {second.device.pci_address} to {second.owner}",
                "give the whole group to one machine, or put one card into another slot",
            )


def groups_without_host(estate: Estate, grounds: Grounds) -> Iterator[Finding]:
    """No device of a group that is passed through is left to the host, bridges excepted."""
    host = _host_devices(grounds)
    passed = {each.address for each in passed_devices(estate)}
    members: defaultdict[int | None, list[PciAddress]] = defaultdict(list)
    for there, device in sorted(host.items()):
        if not device.is_bridge:
            members[device.iommu_group].append(there)
    for placed in estate.machines():
        mine = {each.address: each for each in devices_of(placed) if each.address in host}
        groups: dict[int, Passed] = {}
        for address, each in mine.items():
            group = host[address].iommu_group if address is not None else None
            if group is not None:
                groups.setdefault(group, each)
        slots = {address.slot for address in mine if address is not None}
        for group, each in groups.items():
            left = [
                address
                for address in members[group]
                if address not in passed
                and not (address.slot in slots and _is_audio(host[address], grounds))
            ]
            if left:
                yield _left_to_host(each, group, left, host, grounds)


def _left_to_host(
    passed: Passed, group: int, left: list[PciAddress], host: HostDevices, grounds: Grounds
) -> Finding:
    shown = [f"{address} ({_called(host[address], grounds)})" for address in left]
    return Finding(
        "iommu-group-split",
        Severity.ERROR,
        passed.path,
        f"IOMMU group {group} is split: {passed.address} goes to {passed.owner}, "
        f"left with the host: {', '.join(shown)}",
        "pass them through, too, or put the card into another slot",
    )


def _called(device: HostDevice, grounds: Grounds) -> str:
    names = grounds.pci_names
    found = names.name(device.vendor_id, device.device_id) if names else None
    return found[1] if found else f"{device.vendor_id}:{device.device_id}"


def _is_audio(device: HostDevice, grounds: Grounds) -> bool:
    return device.is_audio or is_audio(_called(device, grounds))


def groups_as_declared(estate: Estate, grounds: Grounds) -> Iterator[Finding]:
    """A declared IOMMU group is the one that the host has made."""
    host = _host_devices(grounds)
    for each in passed_devices(estate):
        found = host.get(each.address) if each.address is not None else None
        declared = each.device.iommu_group
        if found is not None and declared is not None and declared != found.iommu_group:
            real = "none" if found.iommu_group is None else f"group {found.iommu_group}"
            yield Finding(
                "iommu-group-declared",
                Severity.WARNING,
                (*each.path, "iommu_group"),
                f"{each.address} is declared in IOMMU group {declared}; on the host it is in "
                f"{real}",
                "correct it, or leave `iommu_group` out: it is read from the host",
            )


def audio_with_its_gpu(estate: Estate, grounds: Grounds) -> Iterator[Finding]:
    """A GPU goes to a machine with its audio function, where it has one."""
    host, labels = _host_devices(grounds), model_labels(estate)
    for placed in estate.machines():
        devices = list(devices_of(placed))
        for gpu in devices:
            if gpu.address is None or not is_gpu(gpu.device):
                continue
            functions = [
                each
                for each in devices
                if each is not gpu and each.address and each.address.slot == gpu.address.slot
            ]
            audio = [each for each in functions if each.device.device_type.lower() == "audio"]
            if not audio:
                yield from _missing_audio(gpu, gpu.address, functions, host, grounds)
            else:
                yield from _audio_of_a_silent_gpu(
                    [text for _, text in labels[placed.path]], gpu, audio[0], host, grounds
                )


def _missing_audio(
    gpu: Passed,
    address: PciAddress,
    functions: list[Passed],
    host: HostDevices,
    grounds: Grounds,
) -> Iterator[Finding]:
    taken = {each.address for each in functions}
    for number in range(MAX_FUNCTION + 1):
        other = replace(address, function=number)
        device = host.get(other)
        if device is not None and other not in taken and _is_audio(device, grounds):
            yield Finding(
                "gpu-audio",
                Severity.ERROR,
                gpu.path,
                f"{address} goes to {gpu.owner} without its audio function {other} "
                f"({_called(device, grounds)})",
                f"list {other} with `device_type: audio`",
            )
    names, device_id = grounds.pci_names, gpu.device.device_id
    vendor = gpu.device.vendor_id
    if address in host or names is None or vendor is None or device_id is None:
        return  # the host itself has the last word
    found = names.name(vendor, device_id)
    if found is not None and should_have_audio(found[1], vendor, names):
        known = ", ".join(audio_functions(found[1], vendor, names))
        yield Finding(
            "gpu-audio",
            Severity.WARNING,
            gpu.path,
            f"{address} ({found[1]}) goes to {gpu.owner} without an audio function",
            f"list its audio function ({vendor}:{known}, at function 1 of the same address)",
        )


def _audio_of_a_silent_gpu(
    labels: list[str], gpu: Passed, audio: Passed, host: HostDevices, grounds: Grounds
) -> Iterator[Finding]:
    if audio.address in host:
        return
    called = next((text for text in labels if has_no_audio(text)), None)
    names = grounds.pci_names
    if called is None and names and gpu.device.vendor_id and gpu.device.device_id:
        found = names.name(gpu.device.vendor_id, gpu.device.device_id)
        called = found[1] if found and has_no_audio(found[1]) else None
    if called is not None:
        yield Finding(
            "gpu-audio",
            Severity.WARNING,
            audio.path,
            f"{audio.address} is listed as the audio function of {called}, which has none",
            "take it from the list; `lspci -D` shows what there is",
        )


IOMMU_RULES: tuple[Rule, ...] = (
    groups_of_one_machine,
    groups_without_host,
    groups_as_declared,
    audio_with_its_gpu,
)
