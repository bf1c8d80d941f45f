"""An MLServer runtime that serves exactly the bytes of a manifest, and says which.

`model-settings.json` names this class as `implementation`; `parameters.uri` is the absolute
directory of a fetched copy with its `manifest.json`, `parameters.extra` holds ids (names of
`lineage/ids.py`) that are shown again. Where `extra` holds a tree digest, the copy must have it.
`parameters.version` stays empty: MLServer reloads an unversioned model without a gap.

`GET /v2/models/NAME` shows the tree digest of the bytes that were read, computed here, in
`parameters["ai-how.tree-digest"]`. This module runs in the model server's process, and MLServer
imports it anew for every load: it keeps no state and defines nothing that others compare with.
"""

import asyncio
from functools import cached_property
from pathlib import Path

from mlserver.errors import MLServerError
from mlserver.types import (
    InferenceRequest,
    InferenceResponse,
    MetadataModelResponse,
    Parameters,
)
from mlserver_mlflow import MLflowRuntime
from mlserver_mlflow.codecs import TensorDictCodec

from platform_assets.lineage import ids
from platform_assets.serving.verified_copy import CopyRefused, verify_directory

_UNPROCESSABLE = 422


class ModelRefused(MLServerError):  # type: ignore[misc] # the base class has no types
    """What MLServer answers when a model cannot be served: 422 and the reason."""

    def __init__(self, message: str) -> None:
        super().__init__(message, _UNPROCESSABLE)


class VerifiedMlflowRuntime(MLflowRuntime):  # type: ignore[misc] # the base class has no types
    """Serves an MLflow model after its bytes were verified; other requests go on meanwhile."""

    _tree_digest: str | None = None

    async def load(self) -> bool:
        """Verify the copy, load it, and check that nothing changed in between."""
        try:
            copy = await asyncio.to_thread(verify_directory, self._directory())
            expected = self._extra().get(ids.TREE_DIGEST)
            copy.check_digest(expected)
            await asyncio.to_thread(self._load_model, copy.directory)
            await asyncio.to_thread(copy.check_unchanged)
        except CopyRefused as refusal:
            message = f"model {self.name}: {refusal}"
            raise ModelRefused(message) from refusal
        self._tree_digest = copy.tree_digest
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer beside the event loop: a slow candidate does not hold up the live version."""
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._predict, payload)

    async def metadata(self) -> MetadataModelResponse:
        """Return MLServer's metadata with the ids of the settings and the digest of the bytes."""
        metadata = await super().metadata()
        shown = {name: text for name, text in self._extra().items() if name.startswith(ids.PREFIX)}
        shown.pop(ids.TREE_DIGEST, None)
        if self._tree_digest is not None:
            shown[ids.TREE_DIGEST] = self._tree_digest
        given = metadata.parameters.model_dump(exclude_none=True) if metadata.parameters else {}
        metadata.parameters = Parameters.model_validate(given | shown)
        return metadata

    @cached_property
    def _one_at_a_time(self) -> asyncio.Lock:
        """What a model itself was never asked: whether two threads may use it."""
        return asyncio.Lock()

    def _predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Do what `MLflowRuntime.predict` does."""
        parameters = payload.parameters.model_extra if payload.parameters else None
        answered = self._model.predict(self.decode_request(payload), params=parameters or None)
        return self.encode_response(answered, default_codec=TensorDictCodec)

    def _extra(self) -> dict[str, str]:
        parameters = self._settings.parameters
        extra = (parameters.extra if parameters else None) or {}
        return {str(name): str(value) for name, value in extra.items()}

    def _directory(self) -> Path:
        parameters = self._settings.parameters
        uri = parameters.uri if parameters else None
        if not uri or not Path(uri).is_absolute():
            message = f"parameters.uri: expected the absolute directory of a copy, found {uri!r}"
            raise CopyRefused(message)
        return Path(uri)

    def _load_model(self, directory: Path) -> None:
        """Do what `MLflowRuntime.load` does, which would block the other models meanwhile."""
        import mlflow.pyfunc

        try:
            self._model = mlflow.pyfunc.load_model(str(directory))
        except Exception as error:
            message = (
                f"model {self.name}: {directory}: MLflow cannot load it: "
                f"{type(error).__name__}: {error}; the model is not served; train it anew"
            )
            raise ModelRefused(message) from error
        self._input_schema = self._model.metadata.get_input_schema()
        self._signature = self._model.metadata.signature
        self._sync_metadata()
