"""What an endpoint's pods are like on Kubernetes: keys of a model in the serving file.

They mean something where the estate says `placement.serving: kubernetes`; a model server beside
Dagster has no pods. Quantities, selectors and tolerations are Kubernetes' own (documentation:
"Quantity", "Assigning Pods to Nodes", "Taints and Tolerations"); keys are spelled as in all our
files. GPUs are counted by `gpus`, so that nobody has to write them twice.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    field_validator,
    model_validator,
)

from platform_assets.spec.kubernetes_names import (
    TAINT_EFFECTS,
    wrong_key,
    wrong_subdomain,
    wrong_value,
)
from platform_assets.spec.quantities import number_of

GPU = "nvidia.com/gpu"
_FROZEN = ConfigDict(frozen=True, extra="forbid")
_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?([EPTGM]i?|Ki|[km])?\Z")
_PLAIN = ("cpu", "memory", "ephemeral-storage")
MOST_PODS = 1000


def _declared_quantities(value: object) -> object:
    """Read a mapping of resources by hand; YAML takes `cpu: 2` for a number."""
    if not isinstance(value, Mapping):
        message = f"expected a mapping as in {{cpu: 500m, memory: 2Gi}}, found {value!r}"
        raise ValueError(message)  # noqa: TRY004 - pydantic takes no TypeError
    return {str(name): _quantity(str(name), found) for name, found in value.items()}


def _quantity(name: str, found: object) -> str:
    if name == GPU:
        message = f"{GPU}: GPUs are counted by the key gpus; remove it, and write gpus: NUMBER"
        raise ValueError(message)
    if name not in _PLAIN and ("/" not in name or wrong_key(name) is not None):
        message = f"expected {', '.join(_PLAIN)}, or vendor/resource, found {name!r}"
        raise ValueError(message)
    text = found if isinstance(found, str) else f"{found}"
    if isinstance(found, bool) or not _QUANTITY.match(text):
        message = f"{name}: expected a Kubernetes quantity as in 500m, 2 or 4Gi, found {found!r}"
        raise ValueError(message)
    if name != "cpu" and text.endswith("m"):
        message = f"{name}: {text} is {float(number_of(text))} bytes; write {text[:-1]}Mi"
        raise ValueError(message)
    return text


Quantities = Annotated[dict[str, str], BeforeValidator(_declared_quantities)]


class PodResources(BaseModel):
    """What each pod asks for, and what it may use at most; absent: the runtime's own."""

    model_config = _FROZEN

    requests: Quantities = Field(default_factory=dict)
    limits: Quantities = Field(default_factory=dict)

    @model_validator(mode="after")
    def _requests_are_within_limits(self) -> "PodResources":
        for name, quantity in self.requests.items():
            limit = self.limits.get(name)
            if "/" in name and (limit is None or number_of(limit) != number_of(quantity)):
                message = (
                    f"requests.{name}: {quantity}, but limits has {limit or 'none'}: an extended "
                    "resource needs the same in both"
                )
                raise ValueError(message)
            if limit is not None and number_of(quantity) > number_of(limit):
                message = f"requests.{name}: {quantity} is more than the limit {limit}"
                raise ValueError(message)
        return self


class Replicas(BaseModel):
    """How many pods answer: a fixed number, or as many as their load needs between two."""

    model_config = _FROZEN

    min: StrictInt
    max: StrictInt

    @property
    def is_fixed(self) -> bool:
        """Whether no autoscaler changes the number."""
        return self.min == self.max


def _declared_replicas(value: object) -> object:
    if isinstance(value, Replicas):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        value = {"min": value, "max": value}
    bounds = (value.get("min"), value.get("max")) if isinstance(value, Mapping) else (None, None)
    whole = [bound for bound in bounds if isinstance(bound, int) and not isinstance(bound, bool)]
    if not isinstance(value, Mapping) or set(value) != {"min", "max"} or len(whole) != 2:
        message = f"expected a number, or a mapping {{min: NUMBER, max: NUMBER}}, found {value!r}"
        raise ValueError(message)
    low, high = whole
    if low < 1:
        message = f"expected at least 1, found {low}: without Knative nothing wakes an endpoint"
        raise ValueError(message)
    if low > high or high > MOST_PODS:
        message = f"expected min to max, at most {MOST_PODS}, found {low} to {high}"
        raise ValueError(message)
    return value


class Toleration(BaseModel):
    """A taint that the pods put up with; without `value` any value of the key."""

    model_config = _FROZEN

    key: str
    operator: Literal["Equal", "Exists"] | None = None
    value: str | None = None
    effect: str | None = Field(default=None, description="Absent: every effect.")
    toleration_seconds: StrictInt | None = Field(default=None, ge=0)

    @field_validator("key")
    @classmethod
    def _key_is_one(cls, value: str) -> str:
        expected = wrong_key(value)
        if expected is not None:
            message = f"expected {expected}, found {value!r}"
            raise ValueError(message)
        return value

    @field_validator("effect")
    @classmethod
    def _effect_is_one(cls, value: str | None) -> str | None:
        if value is not None and value not in TAINT_EFFECTS:
            message = f"expected one of {', '.join(TAINT_EFFECTS)}, found {value!r}"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> "Toleration":
        if self.operator == "Exists" and self.value is not None:
            message = f"operator Exists takes no value, found {self.value!r}; remove one of them"
            raise ValueError(message)
        if self.operator == "Equal" and self.value is None:
            message = "operator Equal needs a value; write one, or leave the operator out"
            raise ValueError(message)
        if self.toleration_seconds is not None and self.effect != "NoExecute":
            message = "toleration_seconds needs effect: NoExecute, as Kubernetes says"
            raise ValueError(message)
        return self

    def as_kubernetes(self) -> dict[str, Any]:
        """Return the toleration as the API spells it."""
        spelled = {
            "key": self.key,
            "operator": "Exists" if self.value is None else "Equal",
            "value": self.value,
            "effect": self.effect,
            "tolerationSeconds": self.toleration_seconds,
        }
        return {name: value for name, value in spelled.items() if value is not None}


class Rollout(BaseModel):
    """How a version takes the place of another.

    `without_spare` says what happens where the cluster has no room for the new version's pods
    beside the live ones: refuse it, or recreate, which leaves a gap without answers.
    """

    model_config = _FROZEN

    without_spare: Literal["refuse", "recreate"] = "refuse"
    share: StrictInt = 0

    @field_validator("share")
    @classmethod
    def _share_is_nothing(cls, value: int) -> int:
        if value not in (0, 100):
            message = (
                f"{value}: KServe's standard mode sends no share of the requests to a candidate, "
                "that needs a gateway, which is not supported; remove the key, or write 0"
            )
            raise ValueError(message)
        return value


def _declared_selector(value: object) -> object:
    if not isinstance(value, Mapping):
        message = f"expected a mapping of labels as in {{disk: ssd}}, found {value!r}"
        raise ValueError(message)  # noqa: TRY004 - pydantic takes no TypeError
    for key, label in value.items():
        expected = wrong_key(str(key))
        if expected is not None:
            message = f"label {key!r}: expected {expected}"
            raise ValueError(message)
        if not isinstance(label, str):
            message = f"label {key}: expected text, found {label!r}; write it in quotes"
            raise ValueError(message)  # noqa: TRY004 - pydantic takes no TypeError
        expected = wrong_value(label)
        if expected is not None:
            message = f"label {key}: expected {expected}, found {label!r}"
            raise ValueError(message)
    return value


def _runtime(value: str) -> str:
    expected = wrong_subdomain(value)
    if expected is not None:
        message = f"expected the name of a ServingRuntime, {expected}, found {value!r}"
        raise ValueError(message)
    return value


DeclaredReplicas = Annotated[Replicas, BeforeValidator(_declared_replicas)]
NodeSelector = Annotated[dict[str, str], BeforeValidator(_declared_selector)]


class ServedPods(BaseModel):
    """The keys of a model that say what its endpoint's pods are like."""

    model_config = _FROZEN

    runtime: str | None = Field(
        default=None,
        description="ServingRuntime or ClusterServingRuntime; absent: KServe picks by format.",
    )
    resources: PodResources = Field(
        default=PodResources(), description="What each pod asks for and may use at most."
    )
    gpus: StrictInt = Field(default=0, ge=0, le=64, description="GPUs of each pod.")
    replicas: DeclaredReplicas = Field(
        default=Replicas(min=1, max=1), description="How many pods answer."
    )
    node_selector: NodeSelector = Field(
        default_factory=dict, description="Labels that a node must have to carry the pods."
    )
    tolerations: tuple[Toleration, ...] = Field(
        default=(), description="Taints that the pods put up with."
    )
    rollout: Rollout = Field(
        default=Rollout(), description="How a version takes the place of another."
    )

    @field_validator("runtime")
    @classmethod
    def _runtime_is_a_name(cls, value: str | None) -> str | None:
        return None if value is None else _runtime(value)
