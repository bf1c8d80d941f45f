"""What people call a GPU, compared with what the list of PCI ids calls it.

`rtx-a6000`, `NVIDIA RTX A6000 48GB` and `GA102GL [RTX A6000]` are one model; `AD102 [GeForce RTX
4090]` is another. Compared are the words that tell models apart: those with digits, the variants
(Ti, Super), architectures, and the memory where both sides say it. A text without such a word says
nothing about the model and contradicts nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from platform_assets.spec.pci_names import PciNames

_VARIANTS = {"ti", "super"}
# NVIDIA's chips are named after their architecture: TU102 is Turing, AD102 Ada Lovelace.
_ARCHITECTURES = {
    "GV": {"volta"},
    "TU": {"turing"},
    "GA": {"ampere"},
    "AD": {"ada", "lovelace"},
    "GH": {"hopper"},
    "GB": {"blackwell"},
}
_ARCHITECTURE_WORDS = set().union(*_ARCHITECTURES.values())
# Words with digits that name a connector or a kind of memory, and no model.
_FORM = re.compile(r"sxm\d?|pcie\d?|hbm\d\w?|gddr\d\w?|gen\d|mig\d*")
_MEMORY = re.compile(r"\b(\d+)\s?(?:gb|gib|g)\b")
_CHIP = re.compile(r"([A-Z]{1,2})(\d{2,3})([A-Z]*)")
# These have no display output and no audio function; `lspci` shows one function, a 3D controller.
_SILENT = {
    *("p4", "p40", "p100", "v100", "t4", "t4g", "l4"),
    *("a2", "a10", "a16", "a30", "a100", "a800"),
    *("h20", "h100", "h200", "h800", "gh200", "b200", "b300"),
}
_DISPLAY = re.compile(r"GeForce|Quadro|RTX|TITAN")
_NO_DISPLAY = re.compile(r"Tesla|GRID|CMP|Mobile|Laptop|Max-Q|Embedded")


@dataclass(frozen=True)
class ModelWords:
    """The words of a text that tell models apart, and the GiB of memory that it names."""

    words: frozenset[str]
    memory_gib: frozenset[int]
    glued: str


@lru_cache(maxsize=8192)
def model_words(text: str) -> ModelWords:
    """Return what a text says about a model; no words where it says nothing."""
    text = text.lower().replace("_", "-")
    memory = frozenset(int(found) for found in _MEMORY.findall(text))
    tokens = re.split(r"[^a-z0-9]+", _MEMORY.sub(" ", text))
    words = frozenset(token for token in tokens if _tells(token))
    return ModelWords(words, memory, "".join(tokens))


def _tells(token: str) -> bool:
    if token in _VARIANTS or token in _ARCHITECTURE_WORDS:
        return True
    if _FORM.fullmatch(token) or not any(letter.isdigit() for letter in token):
        return False
    return not token.isdigit() or len(token) >= 3


def says_a_model(text: str) -> bool:
    """Return whether a text names a model, and not only a kind or an architecture."""
    return any(any(letter.isdigit() for letter in word) for word in model_words(text).words)


def may_be(text: str, pci_name: str) -> bool:
    """Return whether the device that the list calls `pci_name` may be what `text` names."""
    said, listed = model_words(text), model_words(pci_name)
    words = listed.words | _ARCHITECTURES.get(pci_name[:2], set())
    if said.memory_gib and listed.memory_gib and not said.memory_gib & listed.memory_gib:
        return False
    return all(word in words or (len(word) >= 5 and word in listed.glued) for word in said.words)


@lru_cache(maxsize=1024)
def devices_called(text: str, vendor_id: str, names: PciNames) -> tuple[tuple[str, str], ...]:
    """Return id and name of each device of a vendor that may be what `text` names, nearest first.

    Empty where the text names no model, or none that the list knows.
    """
    if not says_a_model(text):
        return ()
    found = [
        (device, name)
        for (vendor, device), name in names.devices.items()
        if vendor == vendor_id and may_be(text, name)
    ]
    return tuple(sorted(found, key=lambda entry: (len(entry[1]), entry[0])))


def chip(pci_name: str) -> str | None:
    """Return the chip that a name of the list begins with: `AD102` of `AD102GL [L40]`."""
    found = _CHIP.match(pci_name)
    return None if found is None else found[1] + found[2]


def is_audio(pci_name: str) -> bool:
    """Return whether the list calls a device an audio function."""
    return "audio" in pci_name.lower()


@lru_cache(maxsize=1024)
def audio_functions(pci_name: str, vendor_id: str, names: PciNames) -> Mapping[str, str]:
    """Return the audio functions that the list knows for a GPU's chip, names by device id."""
    family = chip(pci_name)
    return {
        device: name
        for (vendor, device), name in names.devices.items()
        if vendor == vendor_id and family and is_audio(name) and chip(name) == family
    }


def has_no_audio(text: str) -> bool:
    """Return whether a text names a GPU that is known to have no audio function."""
    return bool(model_words(text).words & _SILENT)


def should_have_audio(pci_name: str, vendor_id: str, names: PciNames) -> bool:
    """Return whether a card of that name surely has an audio function: it drives displays."""
    return (
        _DISPLAY.search(pci_name) is not None
        and _NO_DISPLAY.search(pci_name) is None
        and not has_no_audio(pci_name)
        and bool(audio_functions(pci_name, vendor_id, names))
    )
