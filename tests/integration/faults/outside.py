"""What can be seen of the platform from outside: S3 listings, MLflow's registry, the answers.

Digests are computed here, from the bytes of the checkpoint itself. The ledger is not asked.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from platform_assets.spec.applied import AppliedEstate
from resources.mlflow import Mlflow, ModelVersion
from resources.object_store import ObjectStore
from tests.telling_checkpoints import told_number

TREE_DIGEST = "ai-how.tree-digest"


def key_of(directory: Path) -> str:
    """Return the partition key of a sealed checkpoint."""
    digest = hashlib.sha256((directory / "_COMPLETE.json").read_bytes()).hexdigest()
    return f"{directory.parent.name}.{directory.name}.{digest[:12]}"


def serving_files(directory: Path) -> dict[str, str]:
    """Return path and SHA-256 of the files that are served, as they lie there now."""
    marker = json.loads((directory / "_COMPLETE.json").read_text())
    return {
        entry["path"]: hashlib.sha256((directory / entry["path"]).read_bytes()).hexdigest()
        for entry in marker["files"]
        if entry["serving"]
    }


def tree_digest_of(directory: Path) -> str:
    """Return the tree digest by the design's words: SHA-256 of the canonical manifest."""
    files = serving_files(directory)
    listed = [
        {"path": path, "sha256": files[path], "size": (directory / path).stat().st_size}
        for path in sorted(files, key=str.encode)
    ]
    text = json.dumps(
        {"files": listed, "version": 1},
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    )
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Outside:
    """One platform, asked as a stranger would."""

    applied: AppliedEstate

    @property
    def store(self) -> ObjectStore:
        secrets = self.applied.secrets
        return ObjectStore(self.applied.addresses.s3_url, "models", secrets / "s3-publisher.json")

    @property
    def mlflow(self) -> Mlflow:
        login = self.applied.secrets / "mlflow-credentials.ini"
        return Mlflow(self.applied.addresses.mlflow_url, login)

    def prefixes(self, model: str) -> set[str]:
        """Return the digests under which any object of `model` lies."""
        return {
            found.key.split("/")[2].removeprefix("sha256-")
            for found in self.store.list(f"models/{model}/")
        }

    def committed(self, model: str) -> set[str]:
        """Return the digests whose manifest is there."""
        return {
            found.key.split("/")[2].removeprefix("sha256-")
            for found in self.store.list(f"models/{model}/")
            if found.key.endswith("/manifest.json")
        }

    def wrong_objects(self, model: str, digest: str) -> list[str]:
        """Read the whole copy; return what is not as its manifest says."""
        prefix = f"models/{model}/sha256-{digest}/"
        data = {o.key.removeprefix(prefix): self.store.get(o.key, 2**30)
                for o in self.store.list(prefix)}  # fmt: skip
        manifest = data.pop("manifest.json")
        wrong = [] if hashlib.sha256(manifest).hexdigest() == digest else ["manifest.json"]
        expected = {file["path"]: file["sha256"] for file in json.loads(manifest)["files"]}
        found = {path: hashlib.sha256(content).hexdigest() for path, content in data.items()}
        names = sorted(expected.keys() | found.keys())
        return wrong + [name for name in names if expected.get(name) != found.get(name)]

    def versions(self, model: str) -> dict[str, list[ModelVersion]]:
        """Return the registered versions of `model` by the digest that they claim."""
        by_digest: dict[str, list[ModelVersion]] = {}
        for version in self.mlflow.versions(model):
            by_digest.setdefault(version.tags.get(TREE_DIGEST, ""), []).append(version)
        return by_digest

    def answer(self, endpoint: str = "digits") -> int | None:
        """Return the number that the endpoint answers now."""
        return told_number(self.applied.addresses.model_server_url, endpoint)

    def served_digest(self, endpoint: str = "digits") -> str | None:
        """Return the digest that the model server tells."""
        url = f"{self.applied.addresses.model_server_url}/v2/models/{endpoint}"
        answer = httpx.get(url, timeout=30, trust_env=False)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        told: dict[str, Any] = answer.raise_for_status().json()
        return str(told["parameters"].get(TREE_DIGEST))

    def loaded(self) -> set[str]:
        """Return the names of the models that the server holds."""
        url = f"{self.applied.addresses.model_server_url}/v2/repository/index"
        index = httpx.post(url, json={}, timeout=30, trust_env=False).raise_for_status().json()
        return {one["name"] for one in index if one["state"] == "READY"}

    def leftovers(self, model: str = "digits", endpoint: str = "digits") -> list[str]:
        """Return what a finished delivery must not leave: open uploads, halves, candidates."""
        uploads = [f"upload {u.key}" for u in self.store.open_uploads(f"models/{model}/")]
        served = self.applied.served / endpoint
        halves = [str(f) for f in served.glob(".*")] if served.is_dir() else []
        repository = self.applied.model_repository
        candidates = [str(f) for f in repository.glob("*.candidate")]
        writing = [str(f) for f in repository.glob("*/.*")]
        loaded = [f"model {name}" for name in self.loaded() if name.endswith(".candidate")]
        return uploads + halves + candidates + writing + loaded
