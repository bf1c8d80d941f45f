"""An MLflow server: its registry and its tracking store, through MLflow's own REST clients.

Speaks of registered models, versions, aliases, tags and runs. The Basic login comes from a file in
MLflow's own format (`[mlflow]`, `mlflow_tracking_username`, `mlflow_tracking_password`); nothing is
taken from the environment. MLflow's HTTP layer is told not to retry: it would repeat a creation
whose answer got lost. Questions are repeated here, creations are left to the caller.
"""

import configparser
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

from resources.errors import ResourceError

TIMEOUT_S = 30
QUESTION_ATTEMPTS = 3
PAGE = 200
# Set unless a person set them: MLflow has no other way to be told.
_CLIENT_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": str(TIMEOUT_S),
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_DB_SDK": "false",
}
_TRANSIENT = {
    "INTERNAL_ERROR",
    "TEMPORARILY_UNAVAILABLE",
    "REQUEST_LIMIT_EXCEEDED",
    "DEADLINE_EXCEEDED",
}
_Answer = TypeVar("_Answer")


class MlflowError(ResourceError):
    """The root of what can go wrong with an MLflow server."""


class MlflowUnavailable(MlflowError):
    """The server cannot be reached or is failing; the same request may succeed later."""


class MlflowRefused(MlflowError):
    """The server answered and said no; the same request will be refused again."""


class MlflowNotFound(MlflowRefused):
    """There is no such model, version, alias or run."""


class MlflowExists(MlflowRefused):
    """Something with this name is there already."""


@dataclass(frozen=True)
class ModelVersion:
    """A version of a registered model, as the registry tells it."""

    model: str
    version: str
    source: str
    run_id: str | None
    status: str
    tags: Mapping[str, str]


@dataclass(frozen=True)
class TrackedRun:
    """A run of the tracking store."""

    run_id: str
    experiment_id: str
    status: str
    metrics: Mapping[str, float]
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class Mlflow:
    """One server as one login sees it. The clients open on first use."""

    url: str
    credentials_file: Path

    @cached_property
    def _login(self) -> Any:  # noqa: ANN401 - MLflow is not typed
        from mlflow.utils.rest_utils import MlflowHostCreds

        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read_string(self.credentials_file.read_text(encoding="utf-8"))
            login = parser["mlflow"]
            username = login["mlflow_tracking_username"]
            password = login["mlflow_tracking_password"]
        except (OSError, configparser.Error, KeyError) as error:
            message = (
                f"{self.credentials_file}: expected [mlflow] with mlflow_tracking_username and "
                f"mlflow_tracking_password, found {type(error).__name__}; "
                "is the platform set up here?"
            )
            # The parser's own words may quote a line of the file.
            raise MlflowRefused(message) from None
        return MlflowHostCreds(self.url, username=username, password=password)

    @cached_property
    def _registry(self) -> Any:  # noqa: ANN401 - MLflow is not typed
        self._settle()
        from mlflow.store.model_registry.rest_store import RestStore

        return RestStore(lambda: self._login)

    @cached_property
    def _tracking(self) -> Any:  # noqa: ANN401 - MLflow is not typed
        self._settle()
        from mlflow.store.tracking.rest_store import RestStore

        return RestStore(lambda: self._login)

    def _settle(self) -> None:
        for name, value in _CLIENT_SETTINGS.items():
            os.environ.setdefault(name, value)

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        self._settle()
        from mlflow.exceptions import MlflowException

        try:
            yield
        except MlflowException as error:
            raise _ours(error, f"{what} at {self.url}") from error
        except (OSError, ValueError) as error:  # requests' errors are OSErrors; no JSON came
            message = f"{what} at {self.url}: {error}; is MLflow running? read its log"
            raise MlflowUnavailable(message) from error

    def _answer(self, what: str, question: Callable[[], _Answer]) -> _Answer:
        """Ask a question that changes nothing, again where the server fails."""
        for attempt in range(1, QUESTION_ATTEMPTS + 1):
            try:
                with self._asking(what):
                    return question()
            except MlflowUnavailable:
                if attempt == QUESTION_ATTEMPTS:
                    raise
                time.sleep(0.5 * 2**attempt)
        raise AssertionError(what)

    def ping(self) -> int:
        """Search the registry for one model; return how many answered. Fails if MLflow does."""
        found = self._answer(
            "search models", lambda: self._registry.search_registered_models(max_results=1)
        )
        return len(found)

    def ensure_experiment(self, name: str) -> str:
        """Make the experiment if it is not there; return its id."""
        what = f"experiment {name!r}"
        found = self._answer(what, lambda: self._tracking.get_experiment_by_name(name))
        if found is None:
            with self._asking(f"create {what}"):
                return str(self._tracking.create_experiment(name))
        return str(found.experiment_id)

    def ensure_registered_model(
        self, name: str, tags: Mapping[str, str] | None = None, description: str | None = None
    ) -> bool:
        """Make the registered model if it is not there; say whether it was made."""
        from mlflow.entities.model_registry import RegisteredModelTag

        what = f"registered model {name!r}"
        try:
            self._answer(what, lambda: self._registry.get_registered_model(name))
        except MlflowNotFound:
            named = [RegisteredModelTag(key, value) for key, value in (tags or {}).items()]
            try:
                with self._asking(f"create {what}"):
                    self._registry.create_registered_model(name, named, description)
            except MlflowExists:
                return False
            return True
        return False

    def find_versions(self, model: str, tag: str, value: str) -> list[ModelVersion]:
        """Return the versions of `model` that carry `tag` with `value`, oldest first."""
        return self._versions(f"name = '{model}' AND tags.`{tag}` = '{value}'")

    def versions(self, model: str) -> list[ModelVersion]:
        """Return every version of `model`, oldest first."""
        return self._versions(f"name = '{model}'")

    def _versions(self, condition: str) -> list[ModelVersion]:
        what = f"search versions with {condition}"
        search = partial(self._registry.search_model_versions, condition, max_results=PAGE)
        found: list[ModelVersion] = []
        token: str | None = None
        while True:
            page = self._answer(what, partial(search, page_token=token))
            found += [_version(version) for version in page]
            token = page.token
            if not token:
                return sorted(found, key=lambda version: int(version.version))

    def get_version(self, model: str, version: str) -> ModelVersion:
        """Return one version.

        Raises:
            MlflowNotFound: there is none.
        """
        what = f"version {model}/{version}"
        return _version(
            self._answer(what, lambda: self._registry.get_model_version(model, version))
        )

    def create_version(
        self,
        model: str,
        source: str,
        *,
        run_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        description: str | None = None,
    ) -> ModelVersion:
        """Create a version with all its tags at once. Never repeated here."""
        from mlflow.entities.model_registry import ModelVersionTag

        named = [ModelVersionTag(key, value) for key, value in (tags or {}).items()]
        with self._asking(f"create version of {model!r}"):
            return _version(
                self._registry.create_model_version(
                    model, source, run_id=run_id, tags=named, description=description
                )
            )

    def set_alias(self, model: str, alias: str, version: str) -> None:
        """Let `alias` of `model` mean `version`; setting it again changes nothing."""
        self._answer(
            f"alias {alias!r} of {model!r}",
            lambda: self._registry.set_registered_model_alias(model, alias, version),
        )

    def delete_alias(self, model: str, alias: str) -> None:
        """Remove `alias` of `model`; one that is not there is no error."""
        what = f"remove alias {alias!r} of {model!r}"
        try:
            self._answer(what, lambda: self._registry.delete_registered_model_alias(model, alias))
        except MlflowNotFound:
            return

    def alias(self, model: str, alias: str) -> ModelVersion | None:
        """Return the version that `alias` of `model` means, or None."""
        what = f"alias {alias!r} of {model!r}"
        try:
            found = self._answer(
                what, lambda: self._registry.get_model_version_by_alias(model, alias)
            )
        except MlflowNotFound:
            return None
        except MlflowRefused as refusal:
            if "alias" in str(refusal) and "not found" in str(refusal):
                return None
            raise
        return _version(found)

    def aliases(self, model: str) -> dict[str, str]:
        """Return which version each alias of `model` means; none for a model that is not there."""
        what = f"registered model {model!r}"
        try:
            found = self._answer(what, lambda: self._registry.get_registered_model(model))
        except MlflowNotFound:
            return {}
        return {str(alias): str(version) for alias, version in dict(found.aliases).items()}

    def delete_version(self, model: str, version: str) -> bool:
        """Delete a version; say whether there was one. Its number is never given again."""
        what = f"delete version {model}/{version}"
        try:
            self._answer(what, lambda: self._registry.delete_model_version(model, version))
        except MlflowNotFound:
            return False
        return True

    def get_run(self, run_id: str) -> TrackedRun:
        """Return a run of the tracking store.

        Raises:
            MlflowNotFound: there is none.
        """
        run = self._answer(f"run {run_id}", lambda: self._tracking.get_run(run_id))
        return TrackedRun(
            run_id=run.info.run_id,
            experiment_id=run.info.experiment_id,
            status=run.info.status,
            metrics=dict(run.data.metrics),
            parameters=dict(run.data.params),
        )

    def version_url(self, model: str, version: str) -> str:
        """Where a person looks at a version."""
        return f"{self.url}/#/models/{model}/versions/{version}"

    def run_url(self, run: TrackedRun) -> str:
        """Where a person looks at a run."""
        return f"{self.url}/#/experiments/{run.experiment_id}/runs/{run.run_id}"


def _version(version: Any) -> ModelVersion:  # noqa: ANN401 - MLflow is not typed
    return ModelVersion(
        model=version.name,
        version=str(version.version),
        source=version.source,
        run_id=version.run_id or None,
        status=str(version.status),
        tags=dict(version.tags),
    )


def _ours(error: Any, where: str) -> MlflowError:  # noqa: ANN401 - MLflow is not typed
    code = str(error.error_code)
    words = f"{where}: {code}: {error.message}"
    if code in _TRANSIENT:
        return MlflowUnavailable(f"{words}; is MLflow running? read its log")
    if code == "RESOURCE_DOES_NOT_EXIST":
        return MlflowNotFound(words)
    if code == "RESOURCE_ALREADY_EXISTS":
        return MlflowExists(words)
    return MlflowRefused(f"{words}; expected it to be allowed for the login in use")
