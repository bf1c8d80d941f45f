"""Rules about Kubernetes nodes: labels, taints, and what is keyed by a machine's name."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import TypeVar

from platform_assets.spec.findings import Finding, Path, Severity, dotted
from platform_assets.spec.kubernetes_names import TAINT_EFFECTS, wrong_key, wrong_value
from platform_assets.spec.machine_names import Machines
from platform_assets.spec.model.base import Labels
from platform_assets.spec.model.estate import Estate, Placed
from platform_assets.spec.model.machines import Taint
from platform_assets.spec.rules.grounds import Grounds, Rule

T = TypeVar("T")

KUBERNETES: Path = ("clusters", "cloud", "kubernetes")
GPU_TAINT = "nvidia.com/gpu"
# Labels by which people and NVIDIA's GPU Feature Discovery say which GPU a node has.
GPU_LABELS = frozenset({"gpu-type", "gpu", "gpu-model", "accelerator", "nvidia.com/gpu.product"})


def _nodes(estate: Estate) -> Iterator[Placed]:
    return (placed for placed in estate.machines() if placed.cluster == "cloud")


def _labels(estate: Estate) -> Iterator[tuple[Path, Labels]]:
    for placed in estate.machines():
        yield (*placed.path, "node_labels"), placed.machine.node_labels
    if estate.clusters.cloud is not None:
        for name, labels in estate.clusters.cloud.kubernetes.node_labels.items():
            yield (*KUBERNETES, "node_labels", name), labels


def _taints(estate: Estate) -> Iterator[tuple[Path, tuple[Taint, ...]]]:
    for placed in estate.machines():
        yield (*placed.path, "node_taints"), placed.machine.node_taints
    if estate.clusters.cloud is not None:
        for name, taints in estate.clusters.cloud.kubernetes.node_taints.items():
            yield (*KUBERNETES, "node_taints", name), taints


def label_syntax(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """The key or value of a label is one that the Kubernetes API refuses."""
    for path, labels in _labels(estate):
        for key, value in labels.items():
            for what, text, expected in (
                ("key", key, wrong_key(key)),
                ("value", value, wrong_value(value)),
            ):
                if expected is not None:
                    yield Finding(
                        "label-syntax",
                        Severity.ERROR,
                        (*path, key),
                        f"{text!r} is no {what} of a label: expected {expected}",
                        f"rename the {what}",
                    )


def taint_syntax(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """The effect, key or value of a taint is one that the Kubernetes API refuses."""
    for path, taints in _taints(estate):
        for index, taint in enumerate(taints):
            at = (*path, index)
            for what, text, expected in (
                ("effect", taint.effect, _wrong_effect(taint.effect)),
                ("key", taint.key, wrong_key(taint.key)),
                ("value", taint.value or "", wrong_value(taint.value or "")),
            ):
                if expected is not None:
                    yield Finding(
                        "taint-syntax",
                        Severity.ERROR,
                        (*at, what),
                        f"{text!r} is no {what} of a taint: expected {expected}",
                        "write the taint as in nvidia.com/gpu=present:NoSchedule",
                    )


def _wrong_effect(effect: str) -> str | None:
    if effect in TAINT_EFFECTS:
        return None
    near = get_close_matches(effect.lower(), {e.lower(): e for e in TAINT_EFFECTS}, n=1)
    meant = next((e for e in TAINT_EFFECTS if near and e.lower() == near[0]), None)
    choice = "one of NoSchedule, PreferNoSchedule, NoExecute"
    return f"{choice}; did you mean {meant}?" if meant else choice


def duplicate_taint(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A machine has one taint (key and effect) twice, which the Kubernetes API refuses."""
    for path, taints in _taints(estate):
        seen: set[tuple[str, str]] = set()
        for index, taint in enumerate(taints):
            if (taint.key, taint.effect) in seen:
                yield Finding(
                    "duplicate-taint",
                    Severity.ERROR,
                    (*path, index),
                    f"the taint {taint.key} with effect {taint.effect} is declared twice",
                    "keep one of them",
                )
            seen.add((taint.key, taint.effect))


def _keyed(estate: Estate) -> Iterator[tuple[str, Mapping[str, object]]]:
    if estate.clusters.cloud is not None:
        yield "node_labels", estate.clusters.cloud.kubernetes.node_labels
        yield "node_taints", estate.clusters.cloud.kubernetes.node_taints


def unknown_node(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Labels or taints are keyed by a name that no machine of the cloud has.

    Without this they would miss silently, and pods that ask for the label stay pending.
    """
    cloud, hpc = Machines(estate, "cloud"), Machines(estate, "hpc")
    for key, entries in _keyed(estate):
        for name in entries:
            if cloud.named(name) is None:
                message, remedy = (
                    f"no machine of the cloud is called {name!r}",
                    _nearest(name, estate),
                )
                if hpc.named(name) is not None:
                    message += "; there is one in hpc, which has no Kubernetes"
                    remedy = "remove the entry, or move the machine to clusters.cloud"
                yield Finding(
                    "unknown-node",
                    Severity.ERROR,
                    (*KUBERNETES, key, name),
                    message,
                    remedy,
                )


def _nearest(name: str, estate: Estate) -> str:
    names = [placed.machine.name for placed in _nodes(estate)]
    if not names:
        return "declare the machine, or remove the entry"
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]!r}?"
    shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    return f"use the name of a machine: {shown}"


def node_name_spelling(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Labels or taints are keyed by a name that is a machine's but for leading zeros.

    They are taken as that machine's; elsewhere `gpu-worker-01` and `gpu-worker-1` are two names.
    """
    cloud = Machines(estate, "cloud")
    for key, entries in _keyed(estate):
        for name in entries:
            placed = cloud.named(name)
            if placed is not None and placed.machine.name != name:
                yield Finding(
                    "node-name-spelling",
                    Severity.NOTE,
                    (*KUBERNETES, key, name),
                    f"{name!r} is taken as {placed.machine.name!r}",
                    f"write {placed.machine.name!r}, the name of {dotted(placed.path)}",
                )


def node_named_twice(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Two keys of one section are the same machine but for leading zeros."""
    cloud = Machines(estate, "cloud")
    for key, entries in _keyed(estate):
        first: dict[Path, str] = {}
        for name in entries:
            placed = cloud.named(name)
            if placed is None:
                continue
            other = first.setdefault(placed.path, name)
            if other != name:
                yield Finding(
                    "node-named-twice",
                    Severity.ERROR,
                    (*KUBERNETES, key, name),
                    f"{name!r} and {other!r} are both {placed.machine.name!r}",
                    "put everything under one of them",
                )


def label_contradicted(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A label has one value with the machine, and another under kubernetes.node_labels."""
    if estate.clusters.cloud is None:
        return
    machines = Machines(estate, "cloud")
    for name, labels in estate.clusters.cloud.kubernetes.node_labels.items():
        placed = machines.named(name)
        own = placed.machine.node_labels if placed is not None else {}
        for key, value in labels.items():
            if placed is not None and own.get(key, value) != value:
                yield Finding(
                    "label-contradicted",
                    Severity.ERROR,
                    (*KUBERNETES, "node_labels", name, key),
                    f"{key} is {value!r} here, and {own[key]!r} at {dotted(placed.path)}",
                    "keep one of them",
                )


def labels_outside_kubernetes(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A machine of the HPC cluster has Kubernetes labels or taints, which nothing reads."""
    for placed in estate.machines():
        machine = placed.machine
        for key, given in (
            ("node_labels", machine.node_labels),
            ("node_taints", machine.node_taints),
        ):
            if placed.cluster == "hpc" and given:
                yield Finding(
                    "labels-outside-kubernetes",
                    Severity.WARNING,
                    (*placed.path, key),
                    f"{machine.name} stands in hpc, which has no Kubernetes to read {key}",
                    "remove the key, or move the machine to clusters.cloud",
                )


def gpu_node_without_taint(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A GPU machine of the cloud has no taint, so that pods without GPU fill it."""
    cloud = estate.clusters.cloud
    tainted = _merged(estate, cloud.kubernetes.node_taints) if cloud is not None else {}
    for placed in _nodes(estate):
        taints = [placed.machine.node_taints, *tainted.get(placed.path, ())]
        if placed.machine.has_gpu and not any(t.key == GPU_TAINT for some in taints for t in some):
            yield Finding(
                "gpu-node-without-taint",
                Severity.WARNING,
                placed.path,
                f"{placed.machine.name} has a GPU, and no taint keeps pods away that need none",
                f"add node_taints: [{GPU_TAINT}=present:NoSchedule]",
            )


def gpu_node_without_label(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A GPU machine of the cloud has no label that says which GPU it has.

    Endpoints then cannot choose between GPUs. GPU Feature Discovery, where the GPU Operator runs
    it, sets nvidia.com/gpu.product by itself.
    """
    cloud = estate.clusters.cloud
    operator = cloud.kubernetes.gpu_operator if cloud else None
    if cloud is None or (operator is not None and operator.enabled and operator.gfd.enabled):
        return
    labelled = _merged(estate, cloud.kubernetes.node_labels)
    for placed in _nodes(estate):
        labels = [placed.machine.node_labels, *labelled.get(placed.path, ())]
        if placed.machine.has_gpu and not any(GPU_LABELS & some.keys() for some in labels):
            yield Finding(
                "gpu-node-without-label",
                Severity.WARNING,
                placed.path,
                f"{placed.machine.name} has a GPU, and no label says which",
                "add node_labels: {gpu-type: MODEL}, or enable kubernetes.gpu_operator.gfd",
            )


def _merged(estate: Estate, entries: Mapping[str, T]) -> dict[Path, list[T]]:
    """Return what is keyed by machines' names, by machines' paths; what names none is left out."""
    merged: dict[Path, list[T]] = {}
    machines = Machines(estate, "cloud")
    for name, entry in entries.items():
        placed = machines.named(name)
        if placed is not None:
            merged.setdefault(placed.path, []).append(entry)
    return merged


NODE_RULES: tuple[Rule, ...] = (
    label_syntax,
    taint_syntax,
    duplicate_taint,
    unknown_node,
    node_name_spelling,
    node_named_twice,
    label_contradicted,
    labels_outside_kubernetes,
    gpu_node_without_taint,
    gpu_node_without_label,
)
