"""Rules about the GPUs under `gpus` and their division, and what machines count on getting.

Profiles of MIG stand in `mig.py`, addresses in `pci.py`.
"""

from collections.abc import Iterator

from platform_assets.spec.devices import (
    devices_of,
    full_name,
    is_gpu,
    named_clusters,
    passed_devices,
    pci_address,
    turns,
)
from platform_assets.spec.findings import Finding, Path, Severity
from platform_assets.spec.mig_devices import gpus_to_divide
from platform_assets.spec.model.estate import ClusterName, Estate, Placed
from platform_assets.spec.model.gpus import Gpus
from platform_assets.spec.rules.grounds import Grounds, Rule

_CLUSTERS: tuple[ClusterName, ...] = ("hpc", "cloud")


def unique_gpus(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Each GPU of `gpus.devices` is listed once: ids and addresses differ."""
    ids: dict[str, int] = {}
    addresses: dict[object, str] = {}
    for index, gpu in enumerate(estate.gpus.devices if estate.gpus else ()):
        path: Path = ("gpus", "devices", index)
        if ids.setdefault(gpu.id.lower(), index) != index:
            message = f"two GPUs have the id {gpu.id}"
            yield Finding(
                "duplicate-gpu", Severity.ERROR, (*path, "id"), message, "give each its own"
            )
        address = pci_address(gpu.pci_address) if gpu.pci_address else None
        if address is not None and addresses.setdefault(address, gpu.id) != gpu.id:
            yield Finding(
                "duplicate-gpu",
                Severity.ERROR,
                (*path, "pci_address"),
                f"{gpu.id} and {addresses[address]} have the address {address}",
                "correct one, or list the GPU once",
            )


def declared_gpus(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Where `gpus.devices` lists GPUs, it lists every GPU that a machine names."""
    if estate.gpus is None or not estate.gpus.devices:
        return
    devices = estate.gpus.devices
    listed = ", ".join(gpu.id for gpu in devices)
    ids = {gpu.id.lower() for gpu in devices}
    for placed in estate.machines():
        slices = placed.machine.gpu.devices if placed.machine.gpu else ()
        for index, one in enumerate(slices):
            if one.id is not None and one.id.lower() not in ids:
                yield Finding(
                    "gpu-undeclared",
                    Severity.ERROR,
                    (*placed.path, "gpu", "devices", index, "id"),
                    f"{full_name(placed)} names the GPU {one.id}, which `gpus.devices` has not",
                    f"name one of {listed}, or add it there",
                )
    addresses = {pci_address(gpu.pci_address) for gpu in devices if gpu.pci_address}
    if len(addresses) < len(devices):
        return  # some GPU has no address, so it may be the one that is meant
    for each in passed_devices(estate):
        if is_gpu(each.device) and each.address and each.address not in addresses:
            yield Finding(
                "gpu-undeclared",
                Severity.ERROR,
                (*each.path, "pci_address"),
                f"{each.owner} gets the GPU {each.address}, which `gpus.devices` has not",
                f"correct the address (listed are {listed}), or add the GPU there",
            )


def counted_gpus(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """`host.gpus` and `gpus.devices` agree about how many GPUs there are."""
    declared = estate.host.gpus
    listed = len(estate.gpus.devices) if estate.gpus else 0
    if declared is not None and listed > declared:
        yield Finding(
            "gpu-count",
            Severity.ERROR,
            ("host", "gpus"),
            f"the host is said to have {declared} GPUs, but `gpus.devices` lists {listed}",
            "correct one of them, or leave `host.gpus` out",
        )


def fitting_strategy(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """The strategy of the division allows the shares that it is given with."""
    gpus = estate.gpus
    if gpus is None:
        return
    slices = gpus.mig_slices.hpc + gpus.mig_slices.cloud
    whole = gpus.whole_gpus.hpc + gpus.whole_gpus.cloud
    remedy = "set the strategy to hybrid, or the numbers to 0"
    if gpus.strategy == "whole" and slices:
        message = f"the strategy is whole, yet {slices} MIG slices are given away"
        yield Finding("gpu-strategy", Severity.ERROR, ("gpus", "mig_slices"), message, remedy)
    if gpus.strategy == "mig" and whole:
        message = f"the strategy is mig, yet {whole} whole GPUs are given away"
        yield Finding("gpu-strategy", Severity.ERROR, ("gpus", "whole_gpus"), message, remedy)
    for placed in estate.machines():
        passed = [each for each in devices_of(placed) if is_gpu(each.device)]
        if gpus.strategy == "mig" and passed:
            yield Finding(
                "gpu-strategy",
                Severity.ERROR,
                passed[0].path,
                f"the strategy is mig, yet {full_name(placed)} gets a whole GPU",
                "set the strategy to hybrid, or give the machine a slice",
            )
        declared = placed.machine.gpu
        if gpus.strategy == "whole" and declared and declared.enabled:
            for index, one in enumerate(declared.devices):
                if one.mig_profile is not None:
                    yield Finding(
                        "gpu-strategy",
                        Severity.ERROR,
                        (*placed.path, "gpu", "devices", index, "mig_profile"),
                        f"the strategy is whole, yet {full_name(placed)} gets a MIG slice "
                        f"({one.mig_profile})",
                        "set the strategy to hybrid, or give the machine a whole GPU",
                    )


def shares_of_clusters(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Shares go to clusters that are declared."""
    if estate.gpus is None:
        return
    for key, shares in (
        ("mig_slices", estate.gpus.mig_slices),
        ("whole_gpus", estate.gpus.whole_gpus),
    ):
        for cluster in _CLUSTERS:
            share = getattr(shares, cluster)
            if share and getattr(estate.clusters, cluster) is None:
                yield Finding(
                    "gpu-shares",
                    Severity.WARNING,
                    ("gpus", key, cluster),
                    f"{share} go to the cluster {cluster}, which is not declared",
                    "set it to 0, or declare the cluster",
                )


def shares_within_devices(estate: Estate, grounds: Grounds) -> Iterator[Finding]:
    """Whole GPUs given away, and those that are divided, are no more than there are."""
    gpus = estate.gpus
    if gpus is None:
        return
    if gpus.devices:
        there = len(gpus.devices)
    elif estate.host.gpus is not None:
        there = estate.host.gpus
    elif grounds.capacity is not None and grounds.capacity.gpus is not None:
        there = grounds.capacity.gpus
    else:
        return  # the rule host-capacity says that the number is not known
    for clusters in turns(estate):
        whole = sum(getattr(gpus.whole_gpus, each) for each in clusters)
        divided = gpus_to_divide(estate, clusters, grounds)
        if whole and whole + divided > there:
            and_divided = f" beside {divided} that MIG divides" if divided else ""
            yield Finding(
                "gpu-shares",
                Severity.ERROR,
                ("gpus", "whole_gpus"),
                f"{named_clusters(clusters)} get {whole} whole GPUs{and_divided}, "
                f"but there are {there}: "
                f"{whole + divided - there} too many",
                "give fewer away, or let the clusters take turns with `mode: sequential`"
                if len(clusters) > 1
                else "give fewer away",
            )


def machines_within_shares(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Machines that want GPUs of their cluster's share find as many there."""
    machines = list(estate.machines())
    for cluster in _CLUSTERS:
        enabled = [
            placed
            for placed in machines
            if placed.cluster == cluster
            and placed.machine.gpu_enabled
            and not any(is_gpu(each.device) for each in devices_of(placed))
        ]
        passed = [
            each
            for placed in machines
            if placed.cluster == cluster
            for each in devices_of(placed)
            if is_gpu(each.device)
        ]
        if estate.gpus is None:
            if enabled:
                yield Finding(
                    "gpu-shares",
                    Severity.ERROR,
                    (*enabled[0].path, "gpu_enabled"),
                    f"{len(enabled)} machines of {cluster} want GPUs, but the estate divides none",
                    "declare `gpus` with shares, pass devices through, or set it to false",
                )
            continue
        yield from _beyond_share(estate.gpus, cluster, enabled, len(passed))


def _beyond_share(
    gpus: Gpus, cluster: ClusterName, enabled: list[Placed], passed: int
) -> Iterator[Finding]:
    whole = getattr(gpus.whole_gpus, cluster)
    slices = getattr(gpus.mig_slices, cluster)
    if passed > whole and whole + slices:
        yield Finding(
            "gpu-shares",
            Severity.ERROR,
            ("gpus", "whole_gpus", cluster),
            f"machines of {cluster} get {passed} whole GPUs, but its share is {whole}",
            f"raise gpus.whole_gpus.{cluster} to {passed}, or pass fewer through",
        )
    elif enabled and passed + len(enabled) > whole + slices:
        has = f"{passed} whole GPUs passed through and " if passed else ""
        yield Finding(
            "gpu-shares",
            Severity.ERROR,
            (*enabled[-1].path, "gpu_enabled"),
            f"{cluster} has {has}{len(enabled)} more machines that want GPUs, but its share is "
            f"{whole} whole GPUs and {slices} slices",
            "raise the share, or set `gpu_enabled: false` on a machine",
        )


def counted_gres(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """SLURM is told of as many GPUs as the machine has; slurmctld drains a node with fewer."""
    for placed in estate.machines():
        machine = placed.machine
        slices = machine.gpu.devices if machine.gpu and machine.gpu.enabled else ()
        has = len(slices) + sum(is_gpu(each.device) for each in devices_of(placed))
        if not has and machine.has_gpu:
            continue  # which GPUs it gets, the division decides
        told: list[tuple[Path, int]] = []
        gres = machine.gres.gpu if machine.gres else None
        if gres is not None and gres.enabled:
            told.append(((*placed.path, "gres", "gpu", "count"), gres.count))
        if machine.gres_config is not None and machine.gres_config.enabled:
            types = machine.gres_config.gpu_types
            count = sum(each.count_per_node for each in types)
            told.append(((*placed.path, "gres_config", "gpu_types"), count))
        for path, count in told:
            if count != has:
                yield Finding(
                    "gres-count",
                    Severity.ERROR if count > has else Severity.WARNING,
                    path,
                    f"SLURM is told of {count} GPUs on {full_name(placed)}, which has {has}",
                    f"set the count to {has}, or correct the machine's devices",
                )


GPU_RULES: tuple[Rule, ...] = (
    unique_gpus,
    declared_gpus,
    counted_gpus,
    fitting_strategy,
    shares_of_clusters,
    shares_within_devices,
    machines_within_shares,
    counted_gres,
)
