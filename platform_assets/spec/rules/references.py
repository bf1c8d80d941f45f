"""Rules about names that refer to something declared elsewhere in the file: images.

Machines by name stand in `nodes.py` and `storage.py`, buckets in `object_stores.py`, storage
classes in `storage.py`, partitions in `slurm.py`, services in `services.py`.
"""

from collections.abc import Iterator
from difflib import get_close_matches

from platform_assets.spec.findings import Finding, Path, Severity
from platform_assets.spec.model.estate import Estate
from platform_assets.spec.rules.grounds import Grounds, Rule


def _images(estate: Estate) -> Iterator[tuple[Path, str]]:
    hpc, cloud = estate.clusters.hpc, estate.clusters.cloud
    if hpc is not None and hpc.image is not None:
        yield ("clusters", "hpc", "image"), hpc.image
    if cloud is not None and cloud.image is not None:
        yield ("clusters", "cloud", "image"), cloud.image
    for placed in estate.machines():
        if placed.machine.image is not None:
            yield (*placed.path, "image"), placed.machine.image


def undeclared_image(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """An image's name (a text without `/`) is not declared under `images`."""
    for path, text in _images(estate):
        if "/" in text or text in estate.images:
            continue
        near = get_close_matches(text, estate.images, n=1)
        declared = ", ".join(estate.images) or "none"
        remedy = f"add it to images, or write a path with '/', as in ./{text}"
        yield Finding(
            "undeclared-image",
            Severity.ERROR,
            path,
            f"{text!r} is not declared under images: {declared}",
            f"did you mean {near[0]!r}?" if near else remedy,
        )


def unused_image(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """An image is declared, and no machine starts from it."""
    used = {text for _, text in _images(estate)}
    for name in estate.images:
        if name not in used:
            yield Finding(
                "unused-image",
                Severity.NOTE,
                ("images", name),
                f"no machine starts from {name!r}",
                "name it as the image of a machine or a cluster, or remove it",
            )


def machines_without_image(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Machines have no image to start from, neither their own nor their cluster's."""
    clusters = {"hpc": estate.clusters.hpc, "cloud": estate.clusters.cloud}
    without: dict[str, list[str]] = {}
    for placed in estate.machines():
        cluster = clusters[placed.cluster]
        if placed.machine.image is None and cluster is not None and cluster.image is None:
            without.setdefault(placed.cluster, []).append(placed.machine.name)
    for name, machines in without.items():
        shown = ", ".join(machines[:8]) + (", …" if len(machines) > 8 else "")
        yield Finding(
            "machines-without-image",
            Severity.WARNING,
            ("clusters", name),
            f"no image to start from: {shown}",
            f"set clusters.{name}.image to a name under images, or to the path of an image",
        )


REFERENCE_RULES: tuple[Rule, ...] = (undeclared_image, unused_image, machines_without_image)
