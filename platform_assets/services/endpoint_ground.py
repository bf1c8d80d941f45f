"""What endpoints stand on in a cluster: namespace, the reader's key for pods, storage container.

That is ours whoever provides KServe. The reader's key goes from its file into a Secret, and nowhere
else. Reference: KServe documentation, "S3 credentials"; `images/storage-container/README.md`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from platform_assets.services.cluster_objects import (
    Change,
    ensure,
    ensure_namespace,
    expect_ours,
    found,
    marked,
    named,
)
from platform_assets.services.kserve_manifests import secret
from platform_assets.spec.errors import AiHowError
from platform_assets.spec.model.services import Kserve, PodObjectStore
from resources.kubernetes import Kubernetes

STORAGE_CONTAINER: Final = "ai-how"  # the name by which predictors ask for it
STORAGE_CONTAINER_FILE: Final = (
    Path(__file__).resolve().parents[2] / "images/storage-container/cluster-storage-container.yaml"
)
_KEYS: Final = {"access_key": "AWS_ACCESS_KEY_ID", "secret_key": "AWS_SECRET_ACCESS_KEY"}
_S3: Final = "serving.kserve.io/s3-"
PULL_SECRET: Final = "kubernetes.io/dockerconfigjson"  # noqa: S105 - a type
_REMEDY: Final = "let the estate name another one, or remove that one"
Manifest = dict[str, Any]


class ReadersKeyMissing(AiHowError):
    """The file with the key that pods read the object store with is missing or damaged."""


class EstateLacks(AiHowError):
    """The estate does not say what must be known to serve on Kubernetes."""


@dataclass(frozen=True)
class EndpointGround:
    """The objects that every endpoint needs, as an estate wants them."""

    kserve: Kserve
    estate: str
    readers_key: Path

    @property
    def namespace(self) -> str:
        """Where endpoints live."""
        return self.kserve.inference_services.namespace

    def manifests(self) -> list[Manifest]:
        """Return them, marked as ours; the key is inside.

        Raises:
            ReadersKeyMissing: the file of the key cannot be read.
            EstateLacks: the estate names no object store, or no storage container.
        """
        store = self.store
        name = store.secret
        key = secret(name, self.namespace, pod_environment(self.readers_key))
        key["metadata"]["annotations"] = store_annotations(store)
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": name, "namespace": self.namespace},
            "secrets": [{"name": name}],
        }
        wanted = [key, account, storage_container(self.image)]
        return [marked(one, self.estate) for one in wanted]

    @property
    def store(self) -> PodObjectStore:
        """The object store as pods reach it."""
        if self.kserve.object_store is None:
            message = "kserve.object_store: expected its url as pods reach it, found none; add it"
            raise EstateLacks(message)
        return self.kserve.object_store

    @property
    def image(self) -> str:
        """The image of the storage container."""
        if self.kserve.images.storage_container is None:
            message = (
                "kserve.images.storage_container: expected the image that verifies models, found "
                "none; push images/storage-container to a registry, and name it with its digest"
            )
            raise EstateLacks(message)
        return self.kserve.images.storage_container

    def ensure(self, kubernetes: Kubernetes) -> list[Change]:
        """Make them true; return what became of each.

        Raises:
            NotOurs: one of them is there, made by somebody else; nothing was changed.
        """
        wanted = self.manifests()
        expect_ours(kubernetes, wanted, self.estate, _REMEDY)
        changes = [ensure_namespace(kubernetes, self.namespace, self.estate)]
        return changes + [ensure(kubernetes, one) for one in wanted]

    def pull_secret_objections(self, kubernetes: Kubernetes) -> list[str]:
        """Return where the Secret that nodes pull images with is missing, or is none for that."""
        told, name = [], self.kserve.pull_secret
        spaces = [self.namespace, *([self.kserve.namespace] if self.kserve.managed else [])]
        for namespace in spaces if name is not None else ():
            one = found(kubernetes, secret(str(name), namespace, {}))
            if one is None:
                told.append(f"Secret {namespace}/{name} is not there")
            elif one.get("type") != PULL_SECRET:
                told.append(f"Secret {namespace}/{name} is of type {one.get('type')}")
        return told

    def objections(self, kubernetes: Kubernetes) -> list[str]:
        """Return what on the cluster is not as wanted; values of Secrets are not told."""
        told = []
        for one in self.manifests():
            there = found(kubernetes, one)
            if there is None:
                told.append(f"{named(one)} is not there")
            elif not _holds(there, one):
                told.append(f"{named(one)} is not as the estate says: somebody changed it")
        return told


def pod_environment(readers_key: Path) -> dict[str, str]:
    """Return the key of a file under the names that S3 programs in pods look for.

    Raises:
        ReadersKeyMissing: the file cannot be read.
    """
    try:
        keys = json.loads(readers_key.read_text(encoding="utf-8"))
        return {name: str(keys[key]) for key, name in _KEYS.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = (
            f"{readers_key}: expected JSON with access_key and secret_key, found "
            f"{type(error).__name__}; `ai-how up` makes it, for an object store of your own write "
            "it yourself, with mode 600"
        )
        raise ReadersKeyMissing(message) from None


def store_annotations(store: PodObjectStore) -> dict[str, str]:
    """Return what tells KServe where the store of a Secret answers."""
    parts = urlsplit(store.url)
    return {
        f"{_S3}endpoint": parts.netloc,
        f"{_S3}usehttps": "1" if parts.scheme == "https" else "0",
        f"{_S3}region": store.region,
    }


def storage_container(image: str) -> Manifest:
    """Return our ClusterStorageContainer as its own project offers it, with this image."""
    offered: Manifest = yaml.safe_load(STORAGE_CONTAINER_FILE.read_text(encoding="utf-8"))
    offered["spec"]["container"]["image"] = image
    return offered


def _holds(there: object, wanted: object) -> bool:
    """Say whether all that is wanted is there; the server adds its own beside it."""
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(
            key in there and _holds(there[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(there, list)
            and len(there) == len(wanted)
            and all(_holds(one, other) for one, other in zip(there, wanted, strict=True))
        )
    return there == wanted
