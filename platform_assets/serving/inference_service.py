"""The InferenceService of an endpoint, as a plain manifest, and the Service that clients know.

`serving.kserve.io/v1beta1` of KServe 0.20 in its Standard mode. Pure: what is read from the cluster
comes in as the API spells it, what is to be applied (server-side, as one owner of all its fields)
goes out the same way. Which change comes when is decided in `rollout.py`.

Three things of KServe shape this page:
- Every pod's annotations are those of the InferenceService, overridden by its predictor's; so what
  tells one version from another stands at both, and a candidate leaves `metadata` alone. Then
  neither its coming nor its promotion changes a pod template, and no pod restarts.
- A canary's predictor is laid over the stable one: what it leaves out, it inherits. `inherited`
  tells what that would be.
- KServe deletes each Deployment and Service under its predictor labels that is not its own; the
  Service for clients carries none of them.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final, Literal

from platform_assets.lineage import ids
from platform_assets.services.cluster_objects import ESTATE_LABEL, MANAGED_BY
from platform_assets.services.endpoint_ground import STORAGE_CONTAINER
from platform_assets.services.kserve_manifests import pull_secrets
from platform_assets.spec.model.services import Kserve
from platform_assets.spec.quantities import number_of
from platform_assets.spec.served_pods import GPU, Replicas, ServedPods

API_VERSION: Final = "serving.kserve.io/v1beta1"
KIND: Final = "InferenceService"
PORT: Final = 8080  # of KServe's model servers, where a runtime declares no other
ENDPOINT_LABEL: Final = ids.ANNOTATION_PREFIX + "endpoint"
MODE: Final = "serving.kserve.io/deploymentMode"
SCALER: Final = "serving.kserve.io/autoscalerClass"

Manifest = dict[str, Any]
# What another run of the same version may change; it must not restart the pods.
_PASSING = (ids.annotation_name(ids.DAGSTER_RUN), ids.annotation_name(ids.CHECKPOINT))
# What KServe leaves out of a canary, or sets itself.
_OF_STABLE_ONLY = ("maxReplicas", "scaleTarget", "scaleMetric", "autoScaling", "deploymentStrategy")
_OWN_METADATA = (ids.ANNOTATION_PREFIX, *MANAGED_BY, MODE, SCALER)
_APP: Final = "isvc."  # what KServe's label `app` has before the Deployment's name
_READY_WITHIN_S: Final = 1800


@dataclass(frozen=True)
class Version:
    """What pods are to serve, with the ids that they carry; the URI ends in a slash."""

    endpoint: str
    model: str
    version: str
    tree_digest: str
    checkpoint: str
    dagster_run: str
    storage_uri: str
    format: Literal["mlflow", "huggingface"] = "mlflow"

    @property
    def predictor(self) -> str:
        """Return the name of the predictor that serves it."""
        return f"v{self.version}"

    def annotations(self) -> dict[str, str]:
        """Return the ids as Kubernetes spells them."""
        told = {
            ids.TREE_DIGEST: self.tree_digest,
            ids.MODEL: self.model,
            ids.VERSION: self.version,
            ids.CHECKPOINT: self.checkpoint,
            ids.DAGSTER_RUN: self.dagster_run,
        }
        return {ids.annotation_name(name): value for name, value in told.items()}


@dataclass(frozen=True)
class Pods:
    """What an endpoint's pods are like, after the estate's defaults."""

    requests: Mapping[str, str]
    limits: Mapping[str, str]
    gpus: int
    replicas: Replicas
    tolerations: tuple[Mapping[str, Any], ...]


def pods_of(entry: ServedPods, kserve: Kserve) -> Pods:
    """Return what the serving file says of the pods, and the estate where the file is silent."""
    default = kserve.inference_services.default_resources
    requests = default.requests | entry.resources.requests
    limits = default.limits | entry.resources.limits
    for name, limit in entry.resources.limits.items():  # a default may ask for more than that
        if name in requests and number_of(requests[name]) > number_of(limit):
            requests[name] = limit
    for name, request in entry.resources.requests.items():
        if name in limits and number_of(limits[name]) < number_of(request):
            limits[name] = request
    asked = requests.pop(GPU, limits.pop(GPU, "0"))
    limits.pop(GPU, None)
    gpus = entry.gpus if "gpus" in entry.model_fields_set else int(number_of(asked))
    replicas, scaling = entry.replicas, kserve.autoscaling
    if "replicas" not in entry.model_fields_set and scaling.enabled:
        least = max(scaling.min_replicas, 1)
        replicas = Replicas(min=least, max=max(scaling.max_replicas, least))
    tolerations = [each.as_kubernetes() for each in entry.tolerations]
    if gpus and all(each["key"] != GPU for each in tolerations):
        tolerations.append({"key": GPU, "operator": "Exists", "effect": "NoSchedule"})
    if gpus:
        requests |= {GPU: str(gpus)}
        limits |= {GPU: str(gpus)}
    return Pods(requests, limits, gpus, replicas, tuple(tolerations))


def inference_service(
    entry: ServedPods,
    kserve: Kserve,
    version: Version,
    *,
    estate: str,
    recreate: bool = False,
) -> Manifest:
    """Return the InferenceService that serves `version` and nothing else.

    With `recreate` the pods of one Deployment are replaced at once, with a gap; else one by one,
    which needs room for one pod more.
    """
    predictor = _predictor(entry, kserve, version, estate)
    predictor["deploymentStrategy"] = (
        {"type": "Recreate"}
        if recreate
        else {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    )
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": version.endpoint,
            "namespace": kserve.inference_services.namespace,
            "labels": labels(estate, version.endpoint),
            "annotations": {MODE: "Standard"} | predictor["annotations"],
        },
        "spec": {"predictor": predictor},
    }


def labels(estate: str, endpoint: str | None = None) -> dict[str, str]:
    """Return the labels of everything that belongs to an endpoint, or to any of the estate."""
    return MANAGED_BY | {ESTATE_LABEL: estate} | ({ENDPOINT_LABEL: endpoint} if endpoint else {})


def _predictor(entry: ServedPods, kserve: Kserve, version: Version, estate: str) -> Manifest:
    pods = pods_of(entry, kserve)
    fixed = pods.replicas.is_fixed
    store = kserve.object_store
    scaled: Manifest = {} if fixed else {"maxReplicas": pods.replicas.max}
    if not fixed and kserve.autoscaling.target_cpu_percent is not None:
        scaled |= {"scaleMetric": "cpu", "scaleTarget": kserve.autoscaling.target_cpu_percent}
    return {
        "name": version.predictor,
        "labels": labels(estate, version.endpoint),
        "annotations": version.annotations() | {SCALER: "none" if fixed else "hpa"},
        "minReplicas": pods.replicas.min,
        **scaled,
        "storageContainerName": STORAGE_CONTAINER,
        **({"serviceAccountName": store.secret} if store is not None else {}),
        **pull_secrets(kserve),
        **({"nodeSelector": dict(entry.node_selector)} if entry.node_selector else {}),
        **({"tolerations": [dict(each) for each in pods.tolerations]} if pods.tolerations else {}),
        "model": _model(entry, version, pods),
    }


def _model(entry: ServedPods, version: Version, pods: Pods) -> Manifest:
    if not version.storage_uri.endswith("/"):
        message = f"{version.storage_uri}: a storage URI must end in /, or its neighbours come too"
        raise ValueError(message)
    resources = {"requests": dict(pods.requests), "limits": dict(pods.limits)}
    return {
        "modelFormat": {"name": version.format},
        "protocolVersion": "v2",
        "storageUri": version.storage_uri,
        **({"runtime": entry.runtime} if entry.runtime is not None else {}),
        "resources": {kind: amounts for kind, amounts in resources.items() if amounts},
        **_probes(version.endpoint),
    }


def _probes(endpoint: str) -> Manifest:
    """Return probes that ask the server for the model, for an open port says nothing of it."""
    ready = {"path": f"/v2/models/{endpoint}/ready", "port": PORT}
    live = {"path": "/v2/health/live", "port": PORT}
    return {
        "startupProbe": {
            "httpGet": ready,
            "periodSeconds": 1,
            "timeoutSeconds": 5,
            "failureThreshold": _READY_WITHIN_S,
        },
        "readinessProbe": {
            "httpGet": ready,
            "periodSeconds": 5,
            "timeoutSeconds": 5,
            "failureThreshold": 3,
        },
        "livenessProbe": {
            "httpGet": live,
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 6,
        },
    }


def applicable(found: Mapping[str, Any]) -> Manifest:
    """Return what was read from the cluster as a manifest of ours that can be applied again."""
    metadata = found["metadata"]
    own = {
        kind: {
            name: text
            for name, text in (metadata.get(kind) or {}).items()
            if name.startswith(_OWN_METADATA)
        }
        for kind in ("labels", "annotations")
    }
    named = {"name": metadata["name"], "namespace": metadata["namespace"]}
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": named | own,
        "spec": deepcopy(dict(found["spec"])),
    }


def with_candidate(found: Mapping[str, Any], wanted: Manifest, *, pods: int, held: int) -> Manifest:
    """Return the endpoint with `wanted` as its candidate of `pods` pods, without any request.

    `held` pods of the live version go on: KServe takes the candidate's off the stable minimum, so
    that stands higher for as long.
    """
    manifest = applicable(found)
    stable = manifest["spec"]["predictor"]
    _hold(stable, held + pods)
    candidate = deepcopy(wanted["spec"]["predictor"])
    for key in _OF_STABLE_ONLY:
        candidate.pop(key, None)
    candidate["minReplicas"] = pods
    candidate["model"]["name"] = ""  # the CRD asks for one here, though it must mean nothing
    manifest["spec"]["canary"] = [{"trafficPercent": 0, "predictor": candidate}]
    return manifest


def without_candidate(found: Mapping[str, Any], *, held: int) -> Manifest:
    """Return the endpoint with its live version alone, on `held` pods."""
    manifest = applicable(found)
    manifest["spec"].pop("canary", None)
    _hold(manifest["spec"]["predictor"], held)
    return manifest


def _hold(predictor: Manifest, least: int) -> None:
    predictor["minReplicas"] = least
    if predictor.get("maxReplicas"):
        predictor["maxReplicas"] = max(predictor["maxReplicas"], least)


def promoted(wanted: Manifest) -> Manifest:
    """Return the endpoint after `wanted` was its candidate: `wanted` alone, under the same name.

    The candidate's pods go on without a restart, for the predictor takes their name; those of the
    version before go at once. So the candidate must have all its pods first.
    """
    return deepcopy(wanted)


def deployment_name(endpoint: str, predictor: str) -> str:
    """Return the name of KServe's Deployment, and Service, of a predictor."""
    return f"{endpoint}-{predictor}-predictor"


def predictor_of(deployment: str, endpoint: str) -> str | None:
    """Return whose Deployment of an endpoint a name is, the inverse; None: of no predictor."""
    head, tail = f"{endpoint}-", "-predictor"
    if not deployment.startswith(head) or not deployment.endswith(tail):
        return None
    return deployment.removeprefix(head).removesuffix(tail) or None


def live_service_name(endpoint: str) -> str:
    """Return the name of the Service that clients of an endpoint know."""
    return f"{endpoint}-live"


def live_service(endpoint: str, predictor: str, *, namespace: str, estate: str) -> Manifest:
    """Return the Service that clients know, which sends requests to one predictor's pods."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": live_service_name(endpoint),
            "namespace": namespace,
            "labels": labels(estate, endpoint),
        },
        "spec": {
            "type": "ClusterIP",
            "selector": {"app": _APP + deployment_name(endpoint, predictor)},
            "ports": [{"name": "http", "port": 80, "targetPort": PORT, "protocol": "TCP"}],
        },
    }


def served_predictor(service: Mapping[str, Any], endpoint: str) -> str | None:
    """Return the predictor to which the Service of an endpoint sends requests; None: to none."""
    selector = (service.get("spec") or {}).get("selector") or {}
    app = str(selector.get("app", "")) if len(selector) == 1 else ""  # no pod has what others add
    return predictor_of(app.removeprefix(_APP), endpoint) if app.startswith(_APP) else None


def differs(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[str, ...]:
    """Return where pods of predictor `found` differ from those of `wanted`, as dotted keys.

    The number of pods, how they are replaced, the Dagster run and the checkpoint do not count.
    """
    left, right = _template(found), _template(wanted)
    keys = {key for key in left | right if left.get(key) != right.get(key)}
    return tuple(sorted(keys))


def with_passing_of(found: Mapping[str, Any] | None, wanted: Manifest) -> Manifest:
    """Return `wanted` with the Dagster run and checkpoint of pods that are as wanted already.

    An attempt that concludes another's must not restart its pods.
    """
    spec = {} if found is None else found["spec"]
    predictors = [one["predictor"] for one in spec.get("canary") or ()]
    manifest, predictor = deepcopy(wanted), wanted["spec"]["predictor"]
    for there in (*predictors, *([spec["predictor"]] if spec else ())):
        if there.get("name") == predictor["name"] and not differs(there, predictor):
            kept = passing(there)
            manifest["metadata"]["annotations"] |= kept
            manifest["spec"]["predictor"]["annotations"] |= kept
            break
    return manifest


def passing(predictor: Mapping[str, Any]) -> dict[str, str]:
    """Return what a predictor says of its run and checkpoint, as annotations."""
    said = predictor.get("annotations") or {}
    return {name: said[name] for name in _PASSING if name in said}


def inherited(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys that a candidate `wanted` would inherit from the stable predictor `found`."""
    left, right = _template(found), _template(wanted)
    kept = left.keys() - right.keys()  # of a list only a whole one is inherited
    other_format = left.get("model.modelFormat.name") != right.get("model.modelFormat.name")
    if other_format and "model.runtime" not in right:
        kept.add("model.runtime")  # KServe picks one for the stable version first
    return tuple(sorted(kept))


def _template(predictor: Mapping[str, Any]) -> dict[str, Any]:
    """Return each value of a predictor that shapes its pods, by its dotted key."""
    shaped = {
        key: value
        for key, value in predictor.items()
        if key not in {"name", "minReplicas", *_OF_STABLE_ONLY}
    }
    values = dict(_values(shaped, ()))
    return {key: value for key, value in values.items() if not key.endswith(_PASSING)}


def _values(value: object, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Yield what is not empty: the API returns empty texts and mappings that nobody wrote."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _values(inner, (*path, str(key)))
    elif value not in (None, "", [], ()):
        is_amount = len(path) > 1 and path[-2] in {"requests", "limits"}
        yield ".".join(path), number_of(str(value)) if is_amount else value
