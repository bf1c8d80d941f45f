"""Rules about PCI devices that machines get whole: their addresses, and that each has one owner.

Groups of the IOMMU stand in `iommu.py`, what the devices are in `gpu_models.py`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations

from platform_assets.spec.devices import (
    MAX_DEVICE,
    MAX_FUNCTION,
    Passed,
    PciAddress,
    address_parts,
    passed_devices,
    pci_address,
    run_together,
)
from platform_assets.spec.findings import Finding, Path, Severity, not_checked
from platform_assets.spec.model.estate import Estate
from platform_assets.spec.rules.grounds import Grounds, HostDevice, Rule


def _declared_addresses(estate: Estate) -> Iterator[tuple[Path, str]]:
    for placed in estate.machines():
        passthrough = placed.machine.pcie_passthrough
        for index, device in enumerate(passthrough.devices if passthrough else ()):
            path = (*placed.path, "pcie_passthrough", "devices", index, "pci_address")
            yield path, device.pci_address
    for index, gpu in enumerate(estate.gpus.devices if estate.gpus else ()):
        if gpu.pci_address is not None:
            yield ("gpus", "devices", index, "pci_address"), gpu.pci_address


def address_form(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A PCI address can exist: `domain:bus:device.function`, device up to 1f, function up to 7."""
    remedy = "write it as `lspci -D` shows it, as in 0000:65:00.0"
    for path, text in _declared_addresses(estate):
        parts = address_parts(text)
        if parts is None:
            wrong = "expected domain:bus:device.function in hex digits"
        elif parts[2] > MAX_DEVICE:
            wrong = f"its device is {parts[2]:02x}, expected at most {MAX_DEVICE:02x}"
        elif parts[3] > MAX_FUNCTION:
            wrong = f"its function is {parts[3]:x}, expected at most {MAX_FUNCTION}"
        else:
            continue
        message = f"{text!r} is no PCI address: {wrong}"
        yield Finding("pci-address", Severity.ERROR, path, message, remedy)


def one_owner(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A PCI device goes to one machine at a time.

    Two machines of clusters that take turns (`mode: sequential`) may name the same device.
    """
    owners: defaultdict[PciAddress, list[Passed]] = defaultdict(list)
    for each in passed_devices(estate):
        if each.address is not None:
            owners[each.address].append(each)
    pairs = (pair for group in owners.values() for pair in combinations(group, 2))
    for first, second in pairs:
        path = (*second.path, "pci_address")
        if first.placed.path == second.placed.path:
            yield Finding(
                "pci-device-twice",
                Severity.ERROR,
                path,
                f"{first.address} is listed twice for {first.owner}",
                "list it once",
            )
        elif run_together(estate, first.placed.cluster, second.placed.cluster):
            same = first.placed.cluster == second.placed.cluster
            turns = "" if same else ", or let the clusters take turns with `mode: sequential`"
            yield Finding(
                "pci-device-twice",
                Severity.ERROR,
                path,
                f"{first.address} goes to {first.owner} and to {second.owner}, "
                "which run at the same time",
                f"take it from one of them{turns}",
            )


def one_identity(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Wherever a PCI device is listed, it has the same ids."""
    seen: dict[object, tuple[str, str, str]] = {}
    for where, path, address, vendor, device in _identities(estate):
        if vendor is None or device is None:
            continue
        known = seen.setdefault(address, (vendor, device, where))
        if known[:2] != (vendor, device):
            yield Finding(
                "pci-device-ids",
                Severity.ERROR,
                path,
                f"{address} is {vendor}:{device} here, and {known[0]}:{known[1]} at {known[2]}",
                f"look with `lspci -n -s {address}` and correct the wrong one",
            )


def _identities(
    estate: Estate,
) -> Iterator[tuple[str, Path, object, str | None, str | None]]:
    for index, gpu in enumerate(estate.gpus.devices if estate.gpus else ()):
        address = pci_address(gpu.pci_address) if gpu.pci_address else None
        if address is not None:
            path: Path = ("gpus", "devices", index, "device_id")
            yield f"gpus ({gpu.id})", path, address, gpu.vendor_id, gpu.device_id
    for passed in passed_devices(estate):
        if passed.address is not None:
            path = (*passed.path, "device_id")
            device = passed.device
            yield passed.owner, path, passed.address, device.vendor_id, device.device_id


def something_to_pass(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Passthrough that is enabled names devices."""
    for placed in estate.machines():
        passthrough = placed.machine.pcie_passthrough
        if passthrough is not None and passthrough.enabled and not passthrough.devices:
            yield Finding(
                "passthrough-empty",
                Severity.ERROR,
                (*placed.path, "pcie_passthrough"),
                f"{placed.machine.name} has passthrough enabled and no devices",
                "list the devices, or set `enabled: false`",
            )


def on_the_host(estate: Estate, grounds: Grounds) -> Iterator[Finding]:
    """A device that is passed through is in the host, with the ids that the estate says."""
    passed = [each for each in passed_devices(estate) if each.address is not None]
    if not passed:
        return
    if grounds.devices is None:
        yield not_checked(
            "pci-device-absent",
            passed[0].path,
            f"the host's PCI devices are not known; {len(passed)} are to be passed through",
            "run `ai-how config validate --host` there",
        )
        return
    host = {pci_address(device.address): device for device in grounds.devices}
    for each in passed:
        found = host.get(each.address)
        if found is None:
            yield Finding(
                "pci-device-absent",
                Severity.ERROR,
                (*each.path, "pci_address"),
                f"{each.address}, passed to {each.owner}: the host has no such device",
                _nearest(each, grounds.devices),
            )
        elif not _same_ids(each, found):
            declared = f"{each.device.vendor_id or '????'}:{each.device.device_id or '????'}"
            yield Finding(
                "pci-device-absent",
                Severity.ERROR,
                (*each.path, "device_id"),
                f"{each.address}, passed to {each.owner}, is declared as {declared}; "
                f"on the host it is {found.vendor_id}:{found.device_id}",
                "correct the address or the ids",
            )


def _same_ids(passed: Passed, found: HostDevice) -> bool:
    device = passed.device
    return device.vendor_id in {None, found.vendor_id} and device.device_id in {
        None,
        found.device_id,
    }


def _nearest(passed: Passed, devices: Iterable[HostDevice]) -> str:
    """Say where the host has a device of those ids, else which GPUs it has."""
    device = passed.device
    same = [
        each.address
        for each in devices
        if (each.vendor_id, each.device_id) == (device.vendor_id, device.device_id)
    ]
    if same:
        return f"the host has {device.vendor_id}:{device.device_id} at {', '.join(same)}"
    gpus = [each.address for each in devices if each.is_gpu]
    return (
        f"the host's GPUs are at {', '.join(gpus)}"
        if gpus
        else "the host has no GPU; see `lspci -D`"
    )


PCI_RULES: tuple[Rule, ...] = (
    address_form,
    one_owner,
    one_identity,
    something_to_pass,
    on_the_host,
)
