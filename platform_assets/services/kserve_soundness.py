"""Does KServe work on a cluster, whoever provides it? Each question changes nothing.

The webhooks are asked by dry runs: an InferenceService that KServe forbids must be refused by it,
not by the schema, and a right one be taken. Reference: Kubernetes API concepts, "Dry-run".
"""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from platform_assets.services.cluster_objects import found
from platform_assets.services.kserve_installation import is_rolled_out
from platform_assets.services.kserve_manifests import (
    CERTIFICATE_SECRET,
    CONFIGURATION,
    MANAGER,
    secret,
    secret_text,
)
from platform_assets.services.webhook_certificate import ends_soon
from platform_assets.spec.errors import AiHowError
from platform_assets.spec.model.services import Kserve
from resources.kubernetes import Kubernetes
from resources.kubernetes_errors import (
    KindUnknown,
    KubernetesError,
    KubernetesRefused,
    KubernetesUnavailable,
    ObjectMissing,
)
from resources.kubernetes_words import is_ready, unmet_conditions

GROUP: Final = "serving.kserve.io"
DEFINITIONS: Final = tuple(
    f"{kind}.{GROUP}"
    for kind in (
        "inferenceservices",
        "servingruntimes",
        "clusterservingruntimes",
        "clusterstoragecontainers",
    )
)
OWNERS_MATTER: Final = "ask the cluster's owner, or let kserve.managed be true"
MEND: Final = "materialize services/kserve"
_STANDARD_NAMES: Final = ("Standard", "RawDeployment")
_VALIDATOR: Final = "inferenceservice.kserve-webhook-server.validator"
# KServe asks for a letter first; the API server itself does not.
_FORBIDDEN_NAME: Final = "0-ai-how-dry-run"
_ALLOWED_NAME: Final = "ai-how-dry-run"
_DEFINITION: Final = "apiextensions.k8s.io/v1"
Object = dict[str, Any]


class KserveUnsound(AiHowError):
    """KServe is not on the cluster, or does not work there as endpoints need it."""


@dataclass(frozen=True)
class Found:
    """The answer to one question: None where it cannot be told."""

    holds: bool | None
    words: str


@dataclass(frozen=True)
class KserveSoundness:
    """What is asked of one cluster about KServe as an estate wants it."""

    kubernetes: Kubernetes
    kserve: Kserve

    @property
    def remedy(self) -> str:
        """Who is to mend what is not sound."""
        return MEND if self.kserve.managed else OWNERS_MATTER

    def definitions(self) -> Found:
        """Are KServe's kinds there, and served?"""
        wrong = []
        for name in DEFINITIONS:
            try:
                one = self.kubernetes.get(_DEFINITION, "CustomResourceDefinition", name)
            except ObjectMissing:
                wrong.append(f"{name} is not there")
                continue
            if not is_ready(one, "Established"):
                told = "; ".join(unmet_conditions(one)) or "not established yet"
                wrong.append(f"{name}: {told}")
        if len(wrong) == len(DEFINITIONS):
            return Found(False, "no KServe is installed: none of its kinds is there")
        return Found(not wrong, "; ".join(wrong) or f"{len(DEFINITIONS)} kinds are established")

    def webhooks(self) -> Found:
        """Does KServe itself refuse a wrong InferenceService, and take a right one?"""
        try:
            self.kubernetes.apply(self._sample(_FORBIDDEN_NAME), dry_run=True, force=True)
        except KindUnknown:
            return Found(False, "there are no InferenceServices: no KServe is installed")
        except KubernetesUnavailable as error:
            return Found(False, f"no answer from KServe's webhook: {error}")
        except KubernetesRefused as error:
            if _VALIDATOR not in str(error):
                return Found(None, f"a dry run was refused, but not by KServe's webhook: {error}")
        else:
            return Found(
                False,
                f"an InferenceService named {_FORBIDDEN_NAME!r}, which KServe forbids, was taken: "
                f"its webhook {_VALIDATOR} is not asked",
            )
        try:
            self.kubernetes.apply(self._sample(_ALLOWED_NAME), dry_run=True, force=True)
        except KubernetesError as error:
            return Found(False, f"a right InferenceService was refused in a dry run: {error}")
        return Found(True, "a wrong InferenceService was refused, a right one taken (dry runs)")

    def manager(self) -> Found:
        """Is the manager's Deployment available?"""
        one = self._manager()
        where = f"Deployment {self.kserve.namespace}/{MANAGER}"
        if one is None:
            # Where the owner runs it otherwise, the webhooks alone can tell.
            words = f"{where} is not there"
            return Found(False if self.kserve.managed else None, words)
        if is_rolled_out(one) or (not self.kserve.managed and is_ready(one, "Available")):
            return Found(True, f"{where} is available: {manager_image(one)}")
        told = self.kubernetes.explain(
            "apps/v1", "Deployment", MANAGER, self.kserve.namespace
        ).replace("\n", "; ")
        return Found(False, told)

    def certificate(self) -> Found:
        """Does the certificate of the webhooks last, as far as it may be read?"""
        what = secret(CERTIFICATE_SECRET, self.kserve.namespace, {})
        if not self.kserve.managed:
            return self._authorities()
        one = found(self.kubernetes, what)
        if one is None:
            return Found(False, f"Secret {self.kserve.namespace}/{CERTIFICATE_SECRET} is not there")
        objection = ends_soon(secret_text(one, "tls.crt"), datetime.now(UTC))
        return Found(not objection, objection or "more than a third of its time is left")

    def version(self) -> str:
        """Return the version of KServe, as far as its manager's image tells; "" if it does not."""
        tag = manager_image(self._manager() or {}).partition("@")[0].rpartition(":")[2]
        return tag.removeprefix("v") if tag[:1] in "v0123456789" else ""

    def mode(self) -> Found:
        """Are InferenceServices run by Kubernetes itself, where they say nothing else?"""
        try:
            one = self.kubernetes.get("v1", "ConfigMap", CONFIGURATION, self.kserve.namespace)
            mode = json.loads(one["data"]["deploy"])["defaultDeploymentMode"]
        except ObjectMissing:
            where = f"ConfigMap {self.kserve.namespace}/{CONFIGURATION}"
            return Found(False, f"{where} is not there: is kserve.namespace right?")
        except (KeyError, ValueError, TypeError):
            return Found(None, f"ConfigMap {CONFIGURATION} names no defaultDeploymentMode")
        # Each of our InferenceServices names the mode it needs, whatever the default is.
        default = "the default" if mode in _STANDARD_NAMES else "ours is Standard all the same"
        return Found(True, f"mode {mode}, {default}")

    def has_storage_containers(self) -> bool:
        """Say whether predictors can name a storage container and themselves, as of KServe 0.20."""
        one = self.kubernetes.get(_DEFINITION, "CustomResourceDefinition", DEFINITIONS[0])
        versions = {each["name"]: each for each in one["spec"]["versions"]}
        try:
            schema = versions["v1beta1"]["schema"]["openAPIV3Schema"]["properties"]["spec"]
            declared = schema["properties"]
            predictor = declared["predictor"]["properties"]
        except KeyError:  # a definition without details, as KServe's charts install
            return True
        return {"storageContainerName", "name"} <= predictor.keys() and "canary" in declared

    def objections(self) -> list[str]:
        """Return why nothing can be served with this KServe."""
        kinds = self.definitions()
        if not kinds.holds:
            return [kinds.words]
        asked: tuple[Callable[[], Found], ...] = (self.webhooks, self.manager)
        return [answer.words for answer in (ask() for ask in asked) if answer.holds is False]

    def _manager(self) -> Object | None:
        try:
            return self.kubernetes.get("apps/v1", "Deployment", MANAGER, self.kserve.namespace)
        except ObjectMissing:
            return None

    def _authorities(self) -> Found:
        """Look at who vouches for the certificate, where the certificate is its owner's."""
        now, told = datetime.now(UTC), []
        for pem in self._bundles():
            objection = ends_soon(pem, now)
            if not objection:
                return Found(True, "its authority lasts; the certificate is its owner's matter")
            told.append(objection)
        if told:
            return Found(None, f"its authority: {told[0]}; its owner should look")
        return Found(None, "no authority is named in the webhook configuration")

    def _bundles(self) -> Iterator[str]:
        configuration = self.kubernetes.get(
            "admissionregistration.k8s.io/v1",
            "ValidatingWebhookConfiguration",
            f"inferenceservice.{GROUP}",
        )
        for webhook in configuration.get("webhooks") or ():
            encoded = webhook["clientConfig"].get("caBundle")
            if encoded:
                yield base64.b64decode(encoded).decode("utf-8", "replace")

    def _sample(self, name: str) -> Object:
        metadata = {"name": name, "namespace": self._namespace}
        model = {
            "modelFormat": {"name": "mlflow"},
            "protocolVersion": "v2",
            "storageUri": "s3://models/none/",
        }
        return {
            "apiVersion": f"{GROUP}/v1beta1",
            "kind": "InferenceService",
            "metadata": metadata,
            "spec": {"predictor": {"model": model}},
        }

    @property
    def _namespace(self) -> str:
        """Where the dry run would put it; before the first materialization that may be missing."""
        name = self.kserve.inference_services.namespace
        wanted = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        return name if found(self.kubernetes, wanted) is not None else "default"


def manager_image(deployment: Mapping[str, Any]) -> str:
    """Return the image of the manager; "" where there is none."""
    template = (deployment.get("spec") or {}).get("template") or {}
    for container in (template.get("spec") or {}).get("containers") or ():
        if container["name"] == "manager":
            return str(container.get("image", ""))
    return ""
