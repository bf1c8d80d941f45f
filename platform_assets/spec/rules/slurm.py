"""Rules about SLURM: partitions, the controller, generic resources, accounting."""

import re
from collections.abc import Iterator
from difflib import get_close_matches

from platform_assets.spec.findings import Finding, Path, Severity
from platform_assets.spec.model.estate import Estate
from platform_assets.spec.rules.grounds import Grounds, Rule

HPC: Path = ("clusters", "hpc")
SLURM: Path = (*HPC, "slurm")


def default_partition(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """The default partition is not one of the partitions, so that `sbatch` fails without `-p`."""
    hpc = estate.clusters.hpc
    if hpc is None or hpc.slurm.default_partition is None:
        return
    default, partitions = hpc.slurm.default_partition, hpc.slurm.partitions
    if default not in partitions:
        near = get_close_matches(default, partitions, n=1)
        declared = ", ".join(partitions) or "none"
        yield Finding(
            "default-partition",
            Severity.ERROR,
            (*SLURM, "default_partition"),
            f"{default!r} is not declared; partitions: {declared}",
            f"did you mean {near[0]!r}?" if near else f"add {default!r} to slurm.partitions",
        )


def duplicate_partition(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A partition is declared twice."""
    hpc = estate.clusters.hpc
    seen: set[str] = set()
    for index, name in enumerate(hpc.slurm.partitions if hpc is not None else ()):
        if name in seen:
            yield Finding(
                "duplicate-partition",
                Severity.ERROR,
                (*SLURM, "partitions", index),
                f"partition {name!r} is declared twice",
                "remove one of them",
            )
        seen.add(name)


def partition_name(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A partition has a name that slurm.conf takes for something else.

    `DEFAULT` sets defaults for the partitions below it; spaces and commas divide keys and names.
    """
    hpc = estate.clusters.hpc
    for index, name in enumerate(hpc.slurm.partitions if hpc is not None else ()):
        if name.upper() in {"DEFAULT", "ALL"} or not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
            yield Finding(
                "partition-name",
                Severity.ERROR,
                (*SLURM, "partitions", index),
                f"{name!r} cannot name a partition: expected letters, digits, '-', '_' and '.', "
                "and neither DEFAULT nor ALL",
                "rename it",
            )


def nodes_without_partition(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """There are compute nodes, and no partition through which a job could reach them."""
    hpc = estate.clusters.hpc
    if hpc is not None and hpc.compute_nodes and not hpc.slurm.partitions:
        yield Finding(
            "nodes-without-partition",
            Severity.WARNING,
            HPC,
            f"{len(hpc.compute_nodes)} compute nodes, and no slurm.partitions to submit jobs to",
            "add slurm.partitions, as in [gpu, debug], and slurm.default_partition",
        )


def nodes_without_controller(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """There are compute nodes, and no machine that runs slurmctld."""
    hpc = estate.clusters.hpc
    if hpc is not None and hpc.compute_nodes and hpc.controller is None:
        yield Finding(
            "nodes-without-controller",
            Severity.ERROR,
            HPC,
            f"{len(hpc.compute_nodes)} compute nodes, and no controller",
            "declare clusters.hpc.controller",
        )


def undeclared_gres(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A node has GPUs for SLURM, and `gpu` is not among the declared generic resources.

    slurmd then registers with another Gres than slurm.conf says, and the node is drained.
    """
    hpc = estate.clusters.hpc
    if hpc is None or not hpc.slurm.gres_types or "gpu" in hpc.slurm.gres_types:
        return
    for placed in estate.machines():
        gres = placed.machine.gres
        if (
            placed.cluster == "hpc"
            and gres is not None
            and gres.gpu is not None
            and gres.gpu.enabled
        ):
            yield Finding(
                "undeclared-gres",
                Severity.ERROR,
                (*placed.path, "gres", "gpu"),
                f"{placed.machine.name} has GPUs for SLURM, but slurm.gres_types are "
                f"{', '.join(hpc.slurm.gres_types)}",
                "add gpu to slurm.gres_types",
            )


def accounting_without_database(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """The accounting is to have a database, and none is declared: slurmdbd does not start."""
    hpc = estate.clusters.hpc
    if hpc is not None and hpc.slurm.enable_database and hpc.slurm.database is None:
        yield Finding(
            "accounting-without-database",
            Severity.ERROR,
            (*SLURM, "enable_database"),
            "enable_database: true, and no database is declared",
            "add slurm.database with host, name, user and a reference as password",
        )


SLURM_RULES: tuple[Rule, ...] = (
    default_partition,
    duplicate_partition,
    partition_name,
    nodes_without_partition,
    nodes_without_controller,
    undeclared_gres,
    accounting_without_database,
)
