"""KServe's own manifests, read from a folder that holds its `config` tree.

That is a checkout of its repository, or the folder of its Go module. Only files are read here; what
of them is applied, and with which changes, stands in `kserve_manifests.py`. Of kustomize the lists
`resources` and `images` are followed, for these folders use no more. Reference: KServe 0.20.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from platform_assets.spec.errors import AiHowError

Manifest = dict[str, Any]
_DEPENDENCIES: Final = "kserve-deps.env"
_VERSION: Final = re.compile(r"^KSERVE_VERSION=v?([0-9]+\.[0-9]+\.[0-9]+\S*)$", re.MULTILINE)
_KUSTOMIZATION: Final = "kustomization.yaml"
# The definitions have two megabytes; Python's own reader takes a quarter of a minute for them.
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class KserveManifestsRefused(AiHowError):
    """The folder that should hold KServe's manifests does not, or holds another version's."""


@dataclass(frozen=True)
class KserveFiles:
    """The manifests of one version of KServe."""

    folder: Path
    version: str

    def definitions(self) -> list[Manifest]:
        """Return the definitions of its kinds."""
        return list(self._below("crd/full"))

    def rights(self) -> list[Manifest]:
        """Return service account, roles and bindings of the manager."""
        return list(self._below("rbac"))

    def manager(self) -> list[Manifest]:
        """Return the manager's Deployment and what stands beside it."""
        return list(self._below("manager"))

    def webhooks(self) -> list[Manifest]:
        """Return the webhook configurations and their Service."""
        return list(self._below("webhook"))

    def configuration(self) -> Manifest:
        """Return the ConfigMap."""
        return next(iter(self._below("configmap")))

    def runtimes(self) -> dict[str, Manifest]:
        """Return the runtimes that come with it, by name; their images as kustomize names them."""
        images = {
            each["name"]: f"{each.get('newName', each['name'])}:{each['newTag']}"
            for each in self._kustomization("runtimes").get("images") or ()
        }
        runtimes = {}
        for manifest in self._below("runtimes"):
            for container in _containers(manifest["spec"]):
                name = str(container["image"]).partition(":")[0]
                container["image"] = self.released(images.get(name) or str(container["image"]))
            runtimes[manifest["metadata"]["name"]] = manifest
        return runtimes

    def released(self, image: str) -> str:
        """Return an image with the tag of this version where it is KServe's own `latest`."""
        name, _, tag = image.rpartition(":")
        if not name.startswith("kserve/"):
            return image
        return f"{name}:{tag.replace('latest', f'v{self.version}', 1)}"

    def _below(self, folder: str) -> Iterator[Manifest]:
        """Give the documents that a folder's kustomization lists, folder by folder."""
        for name in self._kustomization(folder).get("resources") or ():
            path = self.folder / "config" / folder / name
            if path.is_dir():
                yield from self._below(f"{folder}/{name}")
            else:
                yield from (one for one in _documents(path) if one)

    def _kustomization(self, folder: str) -> Manifest:
        listed = _documents(self.folder / "config" / folder / _KUSTOMIZATION)
        return dict(listed[0])


def read_kserve_files(folder: Path, version: str | None) -> KserveFiles:
    """Return the manifests of a folder; `version` is the one that the estate declares, if it does.

    Raises:
        KserveManifestsRefused: it holds none, or those of another version.
    """
    file = folder / _DEPENDENCIES
    try:
        told = _VERSION.search(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise KserveManifestsRefused(_no_kserve(file, f"cannot be read: {why}")) from error
    if told is None:
        raise KserveManifestsRefused(_no_kserve(file, "it names no KSERVE_VERSION"))
    if version is not None and version.removeprefix("v") != told[1]:
        message = (
            f"{folder}: expected KServe {version}, as kserve.version of the estate says, found "
            f"{told[1]}; let kserve.manifests name that version, or correct kserve.version"
        )
        raise KserveManifestsRefused(message)
    return KserveFiles(folder, told[1])


def _documents(path: Path) -> list[Any]:
    try:
        with path.open(encoding="utf-8") as file:
            return list(yaml.load_all(file, _LOADER))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise KserveManifestsRefused(_no_kserve(path, f"cannot be read: {error}")) from error


def _no_kserve(file: Path, why: str) -> str:
    return (
        f"{file}: expected a file of KServe, {why}; let kserve.manifests name a whole checkout of "
        "github.com/kserve/kserve (as `git clone --branch v0.20.0` makes it), or its Go module"
    )


def _containers(spec: Manifest) -> Iterator[Manifest]:
    yield from spec.get("containers") or ()
    worker = spec.get("workerSpec")
    if worker:
        yield from _containers(worker)
