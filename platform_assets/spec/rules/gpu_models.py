"""Rules that compare what a GPU is called with what its PCI ids say.

The ids decide what VFIO takes; a label decides where a pod goes. Names come from
https://pci-ids.ucw.cz/.
"""

from collections.abc import Iterator

from platform_assets.spec.devices import Passed, devices_of, is_gpu, passed_devices, pci_address
from platform_assets.spec.findings import Finding, Path, Severity, not_checked
from platform_assets.spec.gpu_names import (
    audio_functions,
    chip,
    devices_called,
    is_audio,
    may_be,
)
from platform_assets.spec.model.estate import Estate
from platform_assets.spec.pci_names import PciNames
from platform_assets.spec.rules.grounds import Grounds, Rule
from platform_assets.spec.rules.model_labels import model_labels

_SHOWN = 3
Ids = tuple[str, str]


def names_are_known(estate: Estate, grounds: Grounds) -> Iterator[Finding]:
    """PCI ids that the estate names are in the list of PCI ids."""
    for path, ids in _all_ids(estate):
        if grounds.pci_names is None:
            yield not_checked(
                "pci-id-unknown",
                path,
                "the list of PCI ids is not at hand, so no id is compared with a model",
                "run `uv sync --reinstall-package pypci-ng`",
            )
            return
        if grounds.pci_names.name(*ids) is None:
            yield Finding(
                "pci-id-unknown",
                Severity.NOTE,
                path,
                f"{ids[0]}:{ids[1]} is not in the list of PCI ids",
                "compare it with `lspci -nn`; a card newer than the list is none the worse for it",
            )


def _all_ids(estate: Estate) -> Iterator[tuple[Path, Ids]]:
    for each in passed_devices(estate):
        if each.device.vendor_id and each.device.device_id:
            yield (*each.path, "device_id"), (each.device.vendor_id, each.device.device_id)
    for index, gpu in enumerate(estate.gpus.devices if estate.gpus else ()):
        if gpu.vendor_id and gpu.device_id:
            yield ("gpus", "devices", index, "device_id"), (gpu.vendor_id, gpu.device_id)


def _named(passed: Passed, grounds: Grounds) -> tuple[Ids, str] | None:
    """Return a device's ids, as declared or else as the host has them, and its listed name."""
    ids: Ids | None = None
    device = passed.device
    if device.vendor_id and device.device_id:
        ids = device.vendor_id, device.device_id
    elif passed.address is not None:
        on_host = (each for each in grounds.devices or () if pci_address(each.address))
        ids = next(
            (
                (each.vendor_id, each.device_id)
                for each in on_host
                if pci_address(each.address) == passed.address
            ),
            None,
        )
    found = grounds.pci_names.name(*ids) if grounds.pci_names and ids else None
    return (ids, found[1]) if ids and found else None


def label_fits_ids(estate: Estate, grounds: Grounds) -> Iterator[Finding]:
    """What labels, gres and descriptions call a GPU is what its PCI ids say."""
    if grounds.pci_names is None:
        return
    labels = model_labels(estate)
    for placed in estate.machines():
        gpus = [each for each in devices_of(placed) if is_gpu(each.device)]
        named = [(gpu, _named(gpu, grounds)) for gpu in gpus]
        for gpu, found in named:
            if found is not None and gpu.device.description:
                where, path = "its description", (*gpu.path, "device_id")
                text = gpu.device.description
                yield from _contradiction(path, found, where, text, grounds.pci_names)
        yield from _labels(labels[placed.path], named, grounds.pci_names)


def _labels(
    labels: list[tuple[str, str]],
    named: list[tuple[Passed, tuple[Ids, str] | None]],
    names: PciNames,
) -> Iterator[Finding]:
    known = [(gpu, found) for gpu, found in named if found is not None]
    if not known or len(known) < len(named):
        return  # the label may speak of the GPU whose name is not known
    for where, text in labels:
        if not any(may_be(text, found[1]) for _, found in known):
            gpu, found = known[0]
            yield from _contradiction((*gpu.path, "device_id"), found, f"the {where}", text, names)


def _contradiction(
    path: Path, found: tuple[Ids, str], where: str, text: str, names: PciNames
) -> Iterator[Finding]:
    (vendor, device), listed = found
    if may_be(text, listed):
        return
    right = devices_called(text, vendor, names)[:_SHOWN]
    if not right:
        return  # no model of that vendor: the text speaks of something else
    shown = ", ".join(f"{vendor}:{each} ({name})" for each, name in right)
    yield Finding(
        "pci-id-model",
        Severity.ERROR,
        path,
        f"{vendor}:{device} is {listed}, but {where} says {text}",
        f"correct one of them; {text} is {shown}",
    )


def declared_model_fits_ids(estate: Estate, grounds: Grounds) -> Iterator[Finding]:
    """The model of a GPU under `gpus.devices` is what its PCI ids say."""
    names = grounds.pci_names
    for index, gpu in enumerate(estate.gpus.devices if estate.gpus and names else ()):
        if names and gpu.model and gpu.vendor_id and gpu.device_id:
            found = names.name(gpu.vendor_id, gpu.device_id)
            if found is not None:
                path: Path = ("gpus", "devices", index, "device_id")
                ids = gpu.vendor_id, gpu.device_id
                yield from _contradiction(path, (ids, found[1]), "its model", gpu.model, names)


def kind_fits_ids(estate: Estate, grounds: Grounds) -> Iterator[Finding]:
    """A device that is declared as audio has the ids of an audio function, a GPU has not."""
    names = grounds.pci_names
    for each in passed_devices(estate) if names else ():
        device, kind = each.device, each.device.device_type.strip().lower()
        if not (names and device.vendor_id and device.device_id and kind in {"gpu", "audio"}):
            continue
        found = names.name(device.vendor_id, device.device_id)
        if found is not None and is_audio(found[1]) != (kind == "audio"):
            yield Finding(
                "pci-id-kind",
                Severity.ERROR,
                (*each.path, "device_id"),
                f"{device.vendor_id}:{device.device_id} is {found[1]}, but the device is declared "
                f"as {kind}",
                "correct the id or `device_type`; function 0 of a card is the GPU, 1 its audio",
            )


def audio_fits_gpu(estate: Estate, grounds: Grounds) -> Iterator[Finding]:
    """The audio function that goes with a GPU is one of that GPU's chip."""
    names = grounds.pci_names
    for placed in estate.machines() if names else ():
        devices = list(devices_of(placed))
        for audio in devices:
            gpu = next(
                (
                    each
                    for each in devices
                    if is_gpu(each.device)
                    and each.address
                    and audio.address
                    and each.address.slot == audio.address.slot
                ),
                None,
            )
            if names and gpu is not None and audio.device.device_type.lower() == "audio":
                yield from _foreign_audio(gpu, audio, grounds, names)


def _foreign_audio(
    gpu: Passed, audio: Passed, grounds: Grounds, names: PciNames
) -> Iterator[Finding]:
    card, sound = _named(gpu, grounds), _named(audio, grounds)
    if card is None or sound is None or not is_audio(sound[1]):
        return
    own = audio_functions(card[1], card[0][0], names)
    if own and chip(sound[1]) is not None and chip(sound[1]) != chip(card[1]):
        shown = ", ".join(f"{card[0][0]}:{each} ({name})" for each, name in own.items())
        yield Finding(
            "gpu-audio-model",
            Severity.WARNING,
            (*audio.path, "device_id"),
            f"{':'.join(sound[0])} is {sound[1]}, but the GPU at {gpu.address} is {card[1]}",
            f"its audio function should be {shown}; compare with `lspci -nn -s {audio.address}`",
        )


GPU_MODEL_RULES: tuple[Rule, ...] = (
    names_are_known,
    label_fits_ids,
    declared_model_fits_ids,
    kind_fits_ids,
    audio_fits_gpu,
)
