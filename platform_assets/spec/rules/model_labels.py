"""What a machine's labels and generic resources say about the model of its GPUs."""

from collections import defaultdict

from platform_assets.spec.findings import Path
from platform_assets.spec.gpu_names import says_a_model
from platform_assets.spec.machine_names import without_leading_zeros
from platform_assets.spec.model.base import Labels
from platform_assets.spec.model.estate import Estate

Said = tuple[str, str]


def model_labels(estate: Estate) -> dict[Path, list[Said]]:
    """Return, by a machine's path, what says it and what is said: `label gpu-type`, `rtx-a6000`.

    Labels count whose key speaks of a GPU, wherever they are declared, and SLURM's type of GPU.
    What names no model, as in `gpu-type: inference`, is left out.
    """
    said: defaultdict[Path, list[Said]] = defaultdict(list)
    exact: dict[str, Path] = {}
    loose: dict[str, Path] = {}
    for placed in estate.machines():
        machine = placed.machine
        said[placed.path] += _of_labels(machine.node_labels)
        gres = machine.gres.gpu if machine.gres else None
        if gres is not None and gres.type:
            said[placed.path].append(("gres type", gres.type))
        if placed.cluster == "cloud":
            exact.setdefault(machine.name, placed.path)
            loose.setdefault(without_leading_zeros(machine.name), placed.path)
    cloud = estate.clusters.cloud
    for name, labels in cloud.kubernetes.node_labels.items() if cloud else ():
        path = exact.get(name) or loose.get(without_leading_zeros(name))
        if path is not None:
            said[path] += _of_labels(labels)
    return {
        path: [each for each in dict.fromkeys(texts) if says_a_model(each[1])]
        for path, texts in said.items()
    }


def _of_labels(labels: Labels) -> list[Said]:
    return [
        (f"label {key}", value)
        for key, value in labels.items()
        if "gpu" in key.lower() or "accelerator" in key.lower()
    ]
