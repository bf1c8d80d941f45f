"""Rules about KServe: its mode, scaling, namespaces, and what pods ask for.

The sources are KServe's documentation of deployment modes and its webhooks' conditions; versions
are judged in `spec/compatibility.py`.
"""

from collections.abc import Iterator
from fractions import Fraction

from platform_assets.spec.findings import Finding, Path, Severity, dotted
from platform_assets.spec.model.estate import CloudCluster, Estate
from platform_assets.spec.model.machines import Machine
from platform_assets.spec.model.services import Kserve
from platform_assets.spec.quantities import number_of
from platform_assets.spec.rules.grounds import Grounds, Rule

SERVING: Path = ("clusters", "cloud", "mlops", "serving")
KSERVE: Path = (*SERVING, "kserve")
KNATIVE: Path = ("clusters", "cloud", "kubernetes", "knative")
GPU = "nvidia.com/gpu"
# Namespaces of controllers, beside Kubernetes' own and the one that the estate gives to KServe.
CONTROL_PLANES = frozenset(
    {"cert-manager", "gpu-operator", "istio-system", "knative-serving", "kserve-system"}
)


def _kserve(estate: Estate) -> tuple[CloudCluster, Kserve] | None:
    cloud = estate.clusters.cloud
    kserve = cloud.mlops.serving.kserve if cloud and cloud.mlops.serving else None
    return (cloud, kserve) if cloud and kserve is not None and kserve.enabled else None


def scale_to_zero(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """An endpoint is to scale to zero without Knative.

    In standard mode a HorizontalPodAutoscaler scales, and nothing holds back a request until the
    first pod is there.
    """
    found = _kserve(estate)
    if found is None or found[1].mode == "knative" or found[1].autoscaling.min_replicas > 0:
        return
    yield Finding(
        "scale-to-zero",
        Severity.ERROR,
        (*KSERVE, "autoscaling", "min_replicas"),
        "min_replicas: 0 in standard mode: only Knative scales to zero and back",
        "set min_replicas to 1, or kserve.mode to knative with kubernetes.knative.enabled",
    )


def concurrency_without_knative(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Endpoints are to scale by concurrent requests without Knative, which alone counts them."""
    found = _kserve(estate)
    if found is None or found[1].mode == "knative":
        return
    target = found[1].autoscaling.target_concurrency
    if target is not None:
        yield Finding(
            "concurrency-without-knative",
            Severity.ERROR,
            (*KSERVE, "autoscaling", "target_concurrency"),
            f"target_concurrency: {target} in standard mode: only Knative counts requests",
            "use target_cpu_percent, or kserve.mode knative with kubernetes.knative.enabled",
        )


def knative_missing(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """KServe is to use Knative, and Knative is not installed."""
    found = _kserve(estate)
    if found is not None and found[1].mode == "knative" and not found[0].kubernetes.knative.enabled:
        yield Finding(
            "knative-missing",
            Severity.ERROR,
            (*KSERVE, "mode"),
            f"mode is knative, but {dotted((*KNATIVE, 'enabled'))} is false",
            "enable kubernetes.knative, or set kserve.mode to standard",
        )


def cert_manager_missing(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """KServe is installed without cert-manager, which gives its webhooks their certificates.

    Where models are served on Kubernetes we give them ourselves; of a cluster whose owner provides
    KServe it is not ours to say.
    """
    found = _kserve(estate)
    if estate.placement.serving == "kubernetes" or (found is not None and not found[1].managed):
        return
    if found is not None and not found[0].kubernetes.cert_manager.enabled:
        yield Finding(
            "cert-manager-missing",
            Severity.ERROR,
            KSERVE,
            "kserve is enabled, but kubernetes.cert_manager is not: its manager would wait for a "
            "certificate for ever",
            "enable kubernetes.cert_manager",
        )


def replicas_reversed(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Endpoints have more pods at least than at most."""
    found = _kserve(estate)
    if found is None:
        return
    scaling = found[1].autoscaling
    if scaling.min_replicas > scaling.max_replicas:
        yield Finding(
            "replicas-reversed",
            Severity.ERROR,
            (*KSERVE, "autoscaling", "min_replicas"),
            f"min_replicas is {scaling.min_replicas}, max_replicas only {scaling.max_replicas}",
            "exchange the two, or raise max_replicas",
        )


def runtime_elsewhere(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A ServingRuntime stands in another namespace than the InferenceServices.

    It serves its own namespace only; a ClusterServingRuntime serves all.
    """
    found = _kserve(estate)
    if found is None:
        return
    namespace = found[1].inference_services.namespace
    for index, runtime in enumerate(found[1].runtimes):
        if runtime.namespace is not None and runtime.namespace != namespace:
            yield Finding(
                "runtime-elsewhere",
                Severity.ERROR,
                (*KSERVE, "runtimes", index, "namespace"),
                f"ServingRuntime {runtime.name!r} in {runtime.namespace!r} cannot be used by "
                f"InferenceServices in {namespace!r}",
                f"remove namespace, which makes it a ClusterServingRuntime, or write {namespace!r}",
            )


def duplicate_runtime(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A runtime is declared twice in one namespace: the second one overwrites the first."""
    found = _kserve(estate)
    seen: set[tuple[str | None, str]] = set()
    for index, runtime in enumerate(found[1].runtimes if found else ()):
        if (runtime.namespace, runtime.name) in seen:
            yield Finding(
                "duplicate-runtime",
                Severity.ERROR,
                (*KSERVE, "runtimes", index, "name"),
                f"runtime {runtime.name!r} is declared twice",
                "remove or rename one of them",
            )
        seen.add((runtime.namespace, runtime.name))


def endpoints_in_control_plane(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """InferenceServices stand in the namespace of a controller.

    KServe's webhooks leave namespaces with the label control-plane out, its own among them: the
    storage container is never added, and the pod starts without its model.
    """
    found = _kserve(estate)
    if found is None:
        return
    namespace = found[1].inference_services.namespace
    if namespace.startswith("kube-") or namespace in CONTROL_PLANES | {found[1].namespace}:
        yield Finding(
            "endpoints-in-control-plane",
            Severity.ERROR,
            (*KSERVE, "inference_services", "namespace"),
            f"{namespace!r} is a controller's namespace; KServe's webhooks leave such out",
            "choose a namespace of their own, as in models",
        )


def seldon(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Seldon Core is enabled; nothing here installs it."""
    cloud = estate.clusters.cloud
    serving = cloud.mlops.serving if cloud else None
    if serving is not None and serving.seldon is not None and serving.seldon.enabled:
        yield Finding(
            "seldon",
            Severity.ERROR,
            (*SERVING, "seldon", "enabled"),
            "Seldon Core is not supported",
            "set it to false, and serve by KServe",
        )


def pod_resources(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """Pods ask for more than their limit, or for GPUs otherwise than their limit says.

    Kubernetes refuses both: extended resources cannot be overcommitted.
    """
    found = _kserve(estate)
    if found is None:
        return
    resources = found[1].inference_services.default_resources
    for name, quantity in resources.requests.items():
        limit, extended = resources.limits.get(name), "/" in name
        if extended and (limit is None or number_of(limit) != number_of(quantity)):
            message = f"{name}: requests {quantity}, limits {limit or 'none'}: must be equal"
        elif limit is not None and number_of(quantity) > number_of(limit):
            message = f"{name}: requests {quantity}, more than the limit {limit}"
        else:
            continue
        yield Finding(
            "pod-resources",
            Severity.ERROR,
            (*KSERVE, "inference_services", "default_resources", "requests", name),
            message,
            "raise the limit, or lower the request",
        )


def pod_larger_than_nodes(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A pod asks for more than any worker has, so that it stays pending for ever."""
    found = _kserve(estate)
    if found is None or not found[0].workers:
        return
    requests = found[1].inference_services.default_resources.requests
    wanted = {name: number_of(text) for name, text in requests.items()}
    if any(_fits(wanted, machine, found[0]) for machine in found[0].workers):
        return
    shown = ", ".join(f"{name} {text}" for name, text in requests.items())
    yield Finding(
        "pod-larger-than-nodes",
        Severity.ERROR,
        (*KSERVE, "inference_services", "default_resources", "requests"),
        f"no worker can carry a pod that asks for {shown}",
        "lower the requests, or enlarge a worker",
    )


def _fits(wanted: dict[str, Fraction], machine: Machine, cloud: CloudCluster) -> bool:
    has = {
        "cpu": Fraction(machine.cpu_cores),
        "memory": Fraction(machine.memory_gb) * 1024**3,
        "ephemeral-storage": Fraction(machine.disk_gb) * 1024**3,
    }
    if not _is_shared(cloud):
        has[GPU] = Fraction(_gpus(machine))
    return all(amount <= has.get(name, amount) for name, amount in wanted.items())


def _is_shared(cloud: CloudCluster) -> bool:
    """Return whether one GPU counts as several (time slicing, MIG)."""
    operator = cloud.kubernetes.gpu_operator
    plugin = operator.device_plugin if operator is not None else None
    return plugin is not None and (plugin.time_slicing or plugin.mig_strategy != "none")


def _gpus(machine: Machine) -> int:
    passed = machine.pcie_passthrough
    whole = sum(d.device_type == "gpu" for d in passed.devices) if passed and passed.enabled else 0
    sliced = len(machine.gpu.devices) if machine.gpu is not None and machine.gpu.enabled else 0
    return max(whole + sliced, int(machine.has_gpu))


def more_replicas_than_gpus(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """An endpoint may grow to more GPUs than the workers have; the last pods would stay pending."""
    found = _kserve(estate)
    if found is None or _is_shared(found[0]):
        return
    cloud, kserve = found
    requests = kserve.inference_services.default_resources.requests
    each = number_of(requests[GPU]) if GPU in requests else Fraction(0)
    most, there = kserve.autoscaling.max_replicas, sum(map(_gpus, cloud.workers))
    if kserve.autoscaling.enabled and each * most > there:
        yield Finding(
            "more-replicas-than-gpus",
            Severity.WARNING,
            (*KSERVE, "autoscaling", "max_replicas"),
            f"{most} replicas of {each} GPU each are {each * most} GPUs, the workers have {there}",
            f"set max_replicas to at most {int(there // each)}"
            if there >= each
            else "declare workers with GPUs, or ask for none",
        )


SERVING_RULES: tuple[Rule, ...] = (
    scale_to_zero,
    concurrency_without_knative,
    knative_missing,
    cert_manager_missing,
    replicas_reversed,
    runtime_elsewhere,
    duplicate_runtime,
    endpoints_in_control_plane,
    seldon,
    pod_resources,
    pod_larger_than_nodes,
    more_replicas_than_gpus,
)
