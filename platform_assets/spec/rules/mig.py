"""Rules about MIG: which GPUs can be divided, into what, and how many slices there are.

Tables and their sources stand in `spec/mig_profiles.py`.
"""

from collections import defaultdict
from collections.abc import Iterator

from platform_assets.spec.devices import (
    Passed,
    PciAddress,
    full_name,
    named_clusters,
    passed_devices,
    pci_address,
    run_together,
    turns,
)
from platform_assets.spec.findings import Finding, Path, Severity, not_checked
from platform_assets.spec.mig_devices import (
    divisible,
    kinds_of,
    most_slices,
    surely_not_divisible,
)
from platform_assets.spec.model.estate import Estate, Placed
from platform_assets.spec.model.gpus import Gpu
from platform_assets.spec.rules.grounds import Grounds, Rule


def _gpus(estate: Estate) -> Iterator[tuple[Path, Gpu]]:
    for index, gpu in enumerate(estate.gpus.devices if estate.gpus else ()):
        yield ("gpus", "devices", index), gpu


def _slices(estate: Estate) -> Iterator[tuple[Placed, Path, str | None, str]]:
    """Yield each slice that a machine names: the machine, where, the GPU's id, the profile."""
    for placed in estate.machines():
        gpu = placed.machine.gpu
        for index, device in enumerate(gpu.devices if gpu and gpu.enabled else ()):
            if device.mig_profile is not None:
                path = (*placed.path, "gpu", "devices", index)
                yield placed, path, device.id, device.mig_profile


def _called(gpu: Gpu) -> str:
    return f"{gpu.id} ({gpu.model})" if gpu.model else gpu.id


def divisible_gpus(estate: Estate, grounds: Grounds) -> Iterator[Finding]:
    """MIG is used only on GPUs that have it."""
    by_id = {gpu.id.lower(): gpu for _, gpu in _gpus(estate)}
    for path, gpu in _gpus(estate):
        if gpu.allowed_mig_profiles and not gpu.mig_capable:
            yield Finding(
                "mig-unsupported",
                Severity.ERROR,
                (*path, "allowed_mig_profiles"),
                f"{_called(gpu)} allows MIG profiles, but is not `mig_capable`",
                "set `mig_capable: true` if it is, or allow none",
            )
        listed = surely_not_divisible(gpu, grounds) if gpu.mig_capable else None
        if listed is not None:
            yield Finding(
                "mig-unsupported",
                Severity.ERROR,
                (*path, "mig_capable"),
                f"{_called(gpu)} is {listed}, which MIG cannot divide",
                "set `mig_capable: false` and give it away whole",
            )
    for placed, path, name, profile in _slices(estate):
        whose = by_id.get(name.lower()) if name else None
        if whose is not None and not whose.mig_capable:
            yield Finding(
                "mig-unsupported",
                Severity.ERROR,
                path,
                f"{full_name(placed)} gets a slice ({profile}) of {_called(whose)}, "
                "which is not `mig_capable`",
                "take the slice of another GPU, or give the machine the whole one",
            )


def known_profiles(estate: Estate, grounds: Grounds) -> Iterator[Finding]:
    """A MIG profile is one that its GPU has; sizes differ with the GPU's memory."""
    for path, gpu in _gpus(estate):
        for index, profile in enumerate(gpu.allowed_mig_profiles):
            yield from _unknown((*path, "allowed_mig_profiles", index), profile, gpu, grounds)
    by_id = {gpu.id.lower(): gpu for _, gpu in _gpus(estate)}
    for placed, path, name, profile in _slices(estate):
        gpu_named = by_id.get(name.lower()) if name else None
        if gpu_named is None:
            continue
        where = (*path, "mig_profile")
        found = list(_unknown(where, profile, gpu_named, grounds))
        yield from found
        allowed = gpu_named.allowed_mig_profiles
        if not found and allowed and profile.lower() not in {each.lower() for each in allowed}:
            yield Finding(
                "mig-profile",
                Severity.ERROR,
                where,
                f"{full_name(placed)} gets {profile} of {_called(gpu_named)}, which allows "
                f"{', '.join(allowed)}",
                "choose one of those, or allow it there",
            )


def _unknown(path: Path, profile: str, gpu: Gpu, grounds: Grounds) -> Iterator[Finding]:
    kinds = kinds_of(gpu, grounds)
    if any(kind.profile(profile) for kind in kinds):
        return
    if kinds:
        known = " or ".join(", ".join(each.name for each in kind.profiles) for kind in kinds)
        of = " or ".join(kind.name for kind in kinds)
        message = f"{_called(gpu)} has no MIG profile {profile}"
        yield Finding("mig-profile", Severity.ERROR, path, message, f"an {of} has {known}")
    elif surely_not_divisible(gpu, grounds) is None:
        yield not_checked(
            "mig-profile",
            path,
            f"the MIG profiles of {_called(gpu)} are not known",
            "name the model as in NVIDIA A100 80GB, or give vendor_id and device_id; "
            "`nvidia-smi mig -lgip` lists the profiles",
        )


def enough_slices(estate: Estate, grounds: Grounds) -> Iterator[Finding]:
    """The slices that are given away are no more than the GPUs can be divided into."""
    gpus = estate.gpus
    if gpus is None or gpus.strategy == "whole" or not gpus.devices:
        return
    for clusters in turns(estate):
        wanted = sum(getattr(gpus.mig_slices, each) for each in clusters)
        usable = divisible(estate, clusters, grounds)
        there = sum(most_slices(gpu, grounds) for gpu in usable)
        if wanted > there:
            named = ", ".join(f"{_called(gpu)}: {most_slices(gpu, grounds)}" for gpu in usable)
            yield Finding(
                "mig-slices",
                Severity.ERROR,
                ("gpus", "mig_slices"),
                f"{named_clusters(clusters)} get {wanted} MIG slices, "
                f"but there are at most {there}: "
                f"{named or 'no GPU is left that MIG can divide'}",
                "give fewer away, allow smaller profiles, or make another GPU `mig_capable`",
            )
    for cluster in ("hpc", "cloud"):
        share = getattr(gpus.mig_slices, cluster)
        named_slices = [path for placed, path, *_ in _slices(estate) if placed.cluster == cluster]
        if share and len(named_slices) > share:
            yield Finding(
                "mig-slices",
                Severity.ERROR,
                named_slices[share],
                f"machines of {cluster} name {len(named_slices)} slices, its share is {share}",
                f"raise gpus.mig_slices.{cluster}, or name fewer",
            )


def slices_fit_together(estate: Estate, grounds: Grounds) -> Iterator[Finding]:
    """The slices that machines name of one GPU fit on it at the same time."""
    by_id = {gpu.id.lower(): gpu for _, gpu in _gpus(estate)}
    for clusters in turns(estate):
        taken: defaultdict[str, list[tuple[Path, str]]] = defaultdict(list)
        for placed, path, name, profile in _slices(estate):
            if name and name.lower() in by_id and placed.cluster in clusters:
                taken[name.lower()].append((path, profile))
        for name, slices in taken.items():
            gpu = by_id[name]
            profiles = [profile for _, profile in slices]
            kinds = [
                kind
                for kind in kinds_of(gpu, grounds)
                if all(kind.profile(profile) for profile in profiles)
            ]
            if kinds and not any(kind.fits(profiles) for kind in kinds):
                yield Finding(
                    "mig-slices",
                    Severity.ERROR,
                    slices[-1][0],
                    f"{', '.join(profiles)} do not fit on {_called(gpu)} together",
                    "take one of another GPU, or a smaller profile; "
                    "`nvidia-smi mig -lgipp` shows where each can lie",
                )


def divided_or_passed(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A GPU is divided by MIG on the host, or passed through whole; never both at a time."""
    by_id = {gpu.id.lower(): gpu for _, gpu in _gpus(estate)}
    passed: defaultdict[PciAddress, list[Passed]] = defaultdict(list)
    for each in passed_devices(estate):
        if each.address is not None:
            passed[each.address].append(each)
    for placed, path, name, profile in _slices(estate):
        gpu = by_id.get(name.lower()) if name else None
        address = pci_address(gpu.pci_address) if gpu and gpu.pci_address else None
        if gpu is None or address is None:
            continue
        for each in passed[address]:
            if not run_together(estate, placed.cluster, each.placed.cluster):
                continue
            yield Finding(
                "mig-and-passthrough",
                Severity.ERROR,
                path,
                f"{full_name(placed)} gets a slice ({profile}) of {_called(gpu)}, "
                f"which {each.owner} gets whole ({address})",
                "pass another GPU through, or give both machines slices",
            )


MIG_RULES: tuple[Rule, ...] = (
    divisible_gpus,
    known_profiles,
    enough_slices,
    slices_fit_together,
    divided_or_passed,
)
