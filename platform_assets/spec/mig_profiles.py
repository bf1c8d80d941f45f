"""MIG: which GPUs can be divided, into which profiles, and which profiles fit on one GPU at a time.

A GPU has memory slices (eight, or four); an instance takes a run of them at one of a few places.
Sources: https://docs.nvidia.com/datacenter/tesla/mig-user-guide/supported-mig-profiles.html and
supported-gpus.html; PCI ids and sizes from `deployments/systemd/config-default.yaml` of
https://github.com/NVIDIA/mig-parted; places from `nvidia-smi mig -lgipp` as NVIDIA's go-nvml mocks.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from platform_assets.spec.gpu_names import chip, model_words

MOST_INSTANCES = 7
"""No GPU can be divided into more instances."""

NVIDIA = "10de"
# `+me`: with the media engines, which are given to few instances; `+gfx`: with graphics.
_PROFILE = re.compile(r"(?P<base>[1-9]g\.[0-9]+gb)(?P<attribute>[+-][a-z.]+)?")
_MEDIA = frozenset({"+me", "+me.all"})
# Chips of which some cards can be divided; those of no other can.
_CHIPS = frozenset({"GA100", "GH100", "GB100", "GB102", "GB110", "GB112", "GB202", "GB203"})


@dataclass(frozen=True)
class MigProfile:
    """A profile: its name without attribute, the memory slices it takes, and where it may begin."""

    name: str
    slices: int
    starts: tuple[int, ...]


@dataclass(frozen=True)
class MigGpu:
    """GPUs that are divided alike; device ids are NVIDIA's, each of `models` a set of words."""

    name: str
    device_ids: frozenset[str]
    models: tuple[frozenset[str], ...]
    memory_gib: int
    profiles: tuple[MigProfile, ...]
    attributes: frozenset[str] = frozenset({"", "+me"})

    def profile(self, text: str) -> MigProfile | None:
        """Return the profile of that name, with or without an attribute that this GPU has."""
        found = _PROFILE.fullmatch(text.strip().lower())
        if found is None or (found["attribute"] or "") not in self.attributes:
            return None
        return next((each for each in self.profiles if each.name == found["base"]), None)

    def fits(self, texts: Sequence[str]) -> bool:
        """Return whether instances of these profiles fit on one GPU together.

        Raises:
            KeyError: one is no profile of this GPU.
        """
        profiles = [self.profile(text) for text in texts]
        if None in profiles:
            raise KeyError(texts[profiles.index(None)])
        if sum(_attribute(text) in _MEDIA for text in texts) > 1:
            return False
        sized = sorted((each for each in profiles if each), key=lambda each: -each.slices)
        return _placed(tuple(sized), frozenset())

    def most(self, texts: Iterable[str] = ()) -> int:
        """Return the most instances at a time, of these profiles or of any."""
        allowed = [each for each in (self.profile(text) for text in texts) if each]
        return max(len(each.starts) for each in allowed or self.profiles)


def _attribute(text: str) -> str:
    found = _PROFILE.fullmatch(text.strip().lower())
    return (found["attribute"] or "") if found else ""


@lru_cache(maxsize=4096)
def _placed(profiles: tuple[MigProfile, ...], taken: frozenset[int]) -> bool:
    """Try every place of the first profile, then the rest; eight slices keep this small."""
    if not profiles:
        return True
    for start in profiles[0].starts:
        wanted = frozenset(range(start, start + profiles[0].slices))
        if not wanted & taken and _placed(profiles[1:], taken | wanted):
            return True
    return False


def _sevenths(
    name: str, ids: str, models: tuple[str, ...], gib: int, sizes: tuple[int, int, int, int]
) -> MigGpu:
    """Return a GPU of seven compute and eight memory slices; sizes of 1, 2, 4 and 8 of them."""
    one, two, four, eight = sizes
    profiles = (
        MigProfile(f"1g.{one}gb", 1, (0, 1, 2, 3, 4, 5, 6)),
        MigProfile(f"1g.{two}gb", 2, (0, 2, 4, 6)),
        MigProfile(f"2g.{two}gb", 2, (0, 2, 4)),
        MigProfile(f"3g.{four}gb", 4, (0, 4)),
        MigProfile(f"4g.{four}gb", 4, (0,)),
        MigProfile(f"7g.{eight}gb", 8, (0,)),
    )
    return MigGpu(name, frozenset(ids.split()), _words(models), gib, profiles)


def _quarters(
    name: str, ids: str, models: tuple[str, ...], sizes: tuple[int, int, int], *attributes: str
) -> MigGpu:
    """Return a GPU of four slices; sizes of 1, 2 and 4 of them."""
    one, two, four = sizes
    profiles = (
        MigProfile(f"1g.{one}gb", 1, (0, 1, 2, 3)),
        MigProfile(f"2g.{two}gb", 2, (0, 2)),
        MigProfile(f"4g.{four}gb", 4, (0,)),
    )
    known = frozenset({"", *attributes})
    return MigGpu(name, frozenset(ids.split()), _words(models), four, profiles, known)


def _words(models: tuple[str, ...]) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(model.split()) for model in models)


MIG_GPUS = (
    _quarters("A30", "20b7", ("a30",), (6, 12, 24), "+me"),
    _sevenths("A100 40GB", "20b0 20b1 20bd 20f1 20f6", ("a100", "a800"), 40, (5, 10, 20, 40)),
    _sevenths("A100 80GB", "20b2 20b5 20f3 20f5", ("a100", "a800"), 80, (10, 20, 40, 80)),
    _sevenths("H100 80GB", "2322 2324 2330 2331", ("h100", "h800"), 80, (10, 20, 40, 80)),
    _sevenths("H100 94GB", "2321 2339 233a", ("h100", "h800"), 94, (12, 24, 47, 94)),
    _sevenths("H100 96GB", "2329 2338 233d 2342", ("h100", "h20", "gh200"), 96, (12, 24, 48, 96)),
    _sevenths("H200 141GB", "2335 233b", ("h200",), 141, (18, 35, 71, 141)),
    _sevenths("GH200 144GB", "2348", ("gh200",), 144, (18, 36, 72, 144)),
    _sevenths("B200 180GB", "2901", ("b200",), 180, (23, 45, 90, 180)),
    _sevenths("GB200 186GB", "2941", ("gb200",), 186, (23, 47, 93, 186)),
    _sevenths("GB200 189GB", "2941", ("gb200",), 189, (24, 47, 95, 189)),
    _sevenths("B300 269GB", "3182", ("b300",), 269, (34, 67, 135, 269)),
    _sevenths("GB300 278GB", "31c2", ("gb300",), 278, (35, 70, 139, 278)),
    _quarters(
        "RTX PRO 6000 Blackwell",
        "2bb1 2bb4 2bb5",
        ("rtx pro 6000",),
        (24, 48, 96),
        *("+me", "+me.all", "-me", "+gfx"),
    ),
)


def mig_gpus(model: str | None, ids: tuple[str, str] | None = None) -> tuple[MigGpu, ...]:
    """Return the GPUs that may be meant: by vendor and device id where known, else by the model.

    Several where the model does not tell them apart (an A100 of 40 or 80 GiB), none where the
    table does not have it.
    """
    if ids is not None:
        vendor, device = ids
        found = tuple(each for each in MIG_GPUS if vendor == NVIDIA and device in each.device_ids)
        if found:
            return found
    if model is None:
        return ()
    tokens = set(re.split(r"[^a-z0-9]+", model.lower()))
    memory = model_words(model).memory_gib
    named = [each for each in MIG_GPUS if any(words <= tokens for words in each.models)]
    return tuple(each for each in named if not memory or each.memory_gib in memory)


def cannot_be_divided(pci_name: str) -> bool:
    """Return whether the list's name of a GPU says a chip that has no MIG at all."""
    found = chip(pci_name)
    return found is not None and found not in _CHIPS
