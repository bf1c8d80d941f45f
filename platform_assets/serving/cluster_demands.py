"""What serving asks of an existing cluster, one answer for each demand, with what to do about it.

Nothing is changed but for one short-lived pod (`probe_pod.py`). What materializing
`services/kserve` will bring is "weak", not a failure. Each answer is a Floor, as those of the host.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from platform_assets.infrastructure.floor import Floor, Verdict
from platform_assets.services.cluster_objects import found
from platform_assets.services.endpoint_ground import PULL_SECRET, EndpointGround
from platform_assets.services.kserve_soundness import MEND, OWNERS_MATTER, Found, KserveSoundness
from platform_assets.serving.inference_service import API_VERSION, KIND, pods_of
from platform_assets.serving.node_room import Needs, free_resources, places, shortages
from platform_assets.serving.probe_pod import Probed, ProbePod
from platform_assets.spec.errors import AiHowError
from platform_assets.spec.quantities import number_of
from platform_assets.spec.served_pods import GPU, ServedPods
from platform_assets.spec.serving import ServedModel
from resources.errors import ResourceError
from resources.kubernetes import Kubernetes
from resources.kubernetes_errors import KubernetesRefused

Object = dict[str, Any]
_KSERVE: Final = "serving.kserve.io"
# Verbs, group, resources; what is done with them stands in docs/serving.md.
IN_NAMESPACE: Final = (
    ("get list watch create patch delete", _KSERVE, "inferenceservices"),
    ("get list create patch delete", "", "services"),
    ("get create patch delete", "", "secrets"),
    ("get create patch", "", "serviceaccounts"),
    ("get list watch create delete", "", "pods"),
    ("get create", "", "services/proxy"),
    ("get", "", "pods/log"),
    ("list", "", "events"),
    ("list watch", "apps", "deployments"),
    ("list", "apps", "replicasets"),
    ("list watch", "discovery.k8s.io", "endpointslices"),
    ("list delete", "autoscaling", "horizontalpodautoscalers"),
    ("get", _KSERVE, "servingruntimes"),
)
EVERYWHERE: Final = (
    ("get list", "", "nodes"),
    ("list", "", "pods"),
    ("get", "", "namespaces"),
    ("list", _KSERVE, "inferenceservices"),
    ("get", _KSERVE, "clusterservingruntimes"),
    ("get create patch", _KSERVE, "clusterstoragecontainers"),
    ("get", "apiextensions.k8s.io", "customresourcedefinitions"),
    ("get", "apps", "deployments"),
    ("get", "", "configmaps"),
)
_TO_INSTALL: Final = (
    ("create patch", "apiextensions.k8s.io", "customresourcedefinitions"),
    ("create patch", "rbac.authorization.k8s.io", "clusterroles clusterrolebindings"),
    (
        "get create patch",
        "admissionregistration.k8s.io",
        "mutatingwebhookconfigurations validatingwebhookconfigurations",
    ),
    ("create patch", _KSERVE, "clusterservingruntimes"),
    ("create patch", "apps", "deployments"),
    ("create patch", "", "namespaces configmaps services serviceaccounts secrets"),
)
_Answer = tuple[Verdict, str, str]


@dataclass(frozen=True)
class ClusterDemands:
    """The demands of one estate on its cluster; `served` are the models of the serving file."""

    kubernetes: Kubernetes
    ground: EndpointGround
    bucket: str
    served: Sequence[ServedModel]

    def floors(self) -> Iterator[Floor]:
        """Give each demand with its answer, as it comes; after a dead API server only that one."""
        api_server = self._floor("API server", "answers to the kubeconfig", self._api_server)
        yield api_server
        if api_server.verdict is not Verdict.HOLDS:
            return
        yield self._floor("rights", "what serving does there is allowed", self._rights)
        yield self._floor("KServe", "0.20, its kinds established", self._kserve)
        yield self._floor("webhooks", "KServe judges InferenceServices", self._webhooks)
        yield self._floor("GPUs", "as many as models ask for", self._gpus)
        yield self._floor("room", "for one pod of each model", self._room)
        if self.ground.kserve.pull_secret is not None:
            yield self._floor("pull secret", "nodes log in to the registry", self._pull_secret)
        yield self._floor("image", "nodes can pull the storage container", self._image)
        yield self._floor("object store", "answers pods with the reader's key", self._store)
        yield self._floor("our objects", "as the estate says", self._own_objects)

    def _floor(self, name: str, wanted: str, answer: Callable[[], _Answer]) -> Floor:
        try:
            verdict, words, remedy = answer()
        except KubernetesRefused as error:
            verdict, words, remedy = Verdict.FAILS, str(error), "see the rights"
        except (AiHowError, ResourceError) as error:
            verdict, words, remedy = Verdict.UNKNOWN, str(error), "mend that, then ask again"
        rule = f"cluster-{name.lower().replace(' ', '-')}"
        return Floor(rule, name, words, wanted, remedy, verdict)

    @cached_property
    def _soundness(self) -> KserveSoundness:
        return KserveSoundness(self.kubernetes, self.ground.kserve)

    @cached_property
    def _nodes(self) -> list[Object]:
        return list(self.kubernetes.list("v1", "Node"))

    @cached_property
    def _is_namespace_there(self) -> bool:
        wanted = {"apiVersion": "v1", "kind": "Namespace", "metadata": {}}
        wanted["metadata"] = {"name": self.ground.namespace}
        return found(self.kubernetes, wanted) is not None

    @cached_property
    def _probed(self) -> Probed:
        with_gpus = [node["metadata"]["name"] for node in self._nodes if _gpus_of(node)]
        closed = {node["metadata"]["name"] for node in self._nodes if _is_closed(node)}
        pod = ProbePod(
            self.kubernetes,
            self.ground,
            self.bucket,
            self.ground.namespace if self._is_namespace_there else "default",
            [name for name in with_gpus if name not in closed],
            [{"key": GPU, "operator": "Exists"}, *self._tolerations()],
        )
        return pod.ask()

    def _tolerations(self) -> list[Object]:
        declared = [each.as_kubernetes() for one in self.served for each in one.tolerations]
        return [dict(each) for n, each in enumerate(declared) if each not in declared[:n]]

    def _api_server(self) -> _Answer:
        remedy = (
            f"see that clusters.cloud.kubernetes.kubeconfig names the right file "
            f"({self.kubernetes.kubeconfig}), and that the cluster is up and reachable from here"
        )
        try:
            version = self.kubernetes.version()
            self.kubernetes.can_i("list", "", "nodes")  # who is not accepted is refused here
        except ResourceError as error:
            return Verdict.FAILS, str(error), remedy
        return Verdict.HOLDS, f"{version} at {self.kubernetes.url}", ""

    def _rights(self) -> _Answer:
        namespace = self.ground.namespace
        wanted: list[tuple[tuple[str, str, str], str | None]]
        wanted = [(each, namespace) for each in _expanded(IN_NAMESPACE)]
        everywhere = EVERYWHERE + (_TO_INSTALL if self.ground.kserve.managed else ())
        wanted += [(each, None) for each in _expanded(everywhere)]
        if not self._may_look_at_namespaces or not self._is_namespace_there:
            wanted.append((("create", "", "namespaces"), None))
        missing = [
            f"{verb} {resource}{f'.{group}' if group else ''}"
            f"{f' in {where}' if where else ' in the whole cluster'}"
            for (verb, group, resource), where in wanted
            if not self.kubernetes.can_i(verb, group, resource, where)
        ]
        if not missing:
            return Verdict.HOLDS, f"{len(wanted)} rights, all allowed", ""
        remedy = (
            "let the cluster's owner grant them: docs/serving.md has a ClusterRole and a Role with "
            "all of them"
        )
        return Verdict.FAILS, f"missing: {', '.join(missing)}", remedy

    @property
    def _may_look_at_namespaces(self) -> bool:
        return self.kubernetes.can_i("get", "", "namespaces", self.ground.namespace)

    def _kserve(self) -> _Answer:
        kinds = self._soundness.definitions()
        if not kinds.holds:
            return self._kserve_lacks(kinds)
        if not self._soundness.has_storage_containers():
            words = "an InferenceService cannot name its storage container or its predictor"
            remedy = f"KServe 0.20 or newer is needed: {self._soundness.remedy}"
            return Verdict.FAILS, f"too old: {words}", remedy
        mode = self._soundness.mode()
        version = self._soundness.version()
        shown = f"version {version}" if version else "new enough, its version is not told"
        if mode.holds is False:
            return Verdict.WEAK, f"{shown}; {mode.words}", "correct kserve.namespace in the estate"
        return Verdict.HOLDS, f"{shown}; {mode.words}", ""

    def _kserve_lacks(self, answer: Found) -> _Answer:
        if self.ground.kserve.managed:
            return Verdict.WEAK, answer.words, f"{MEND}, which installs it"
        return Verdict.FAILS, answer.words, OWNERS_MATTER

    def _webhooks(self) -> _Answer:
        answer = self._soundness.webhooks()
        if answer.holds:
            return Verdict.HOLDS, answer.words, ""
        if answer.holds is None:
            return Verdict.UNKNOWN, answer.words, "see the rights"
        return self._kserve_lacks(answer)

    def _gpus(self) -> _Answer:
        offered = {node["metadata"]["name"]: _gpus_of(node) for node in self._nodes}
        told = [
            f"{node['metadata']['name']}: {offered[node['metadata']['name']]}{_taints(node)}"
            for node in self._nodes
            if offered[node["metadata"]["name"]]
        ]
        wanted = {one.endpoint: pods_of(one, self.ground.kserve).gpus for one in self.served}
        most = max(wanted.values(), default=0)
        short = [name for name, count in wanted.items() if count > max(offered.values(), default=0)]
        if short:
            words = "; ".join(told) or f"no node offers {GPU}"
            remedy = (
                f"{', '.join(short)} asks for {most} on one node: install the GPU operator or the "
                "device plugin on the nodes, or let `gpus` in the serving file say less"
            )
            return Verdict.FAILS, words, remedy
        if not told:
            return Verdict.HOLDS, f"no node offers {GPU}, and no model asks for one", ""
        return Verdict.HOLDS, "; ".join(told), ""

    def _room(self) -> _Answer:
        rooms = free_resources(self._nodes, self.kubernetes.list("v1", "Pod"))
        lacking, is_served = [], True
        models: Sequence[ServedModel | ServedPods] = self.served or (ServedPods(),)
        for one in models:
            needs = needs_of_entry(one, self.ground)
            if places(needs, rooms):
                continue
            name = one.endpoint if isinstance(one, ServedModel) else "any model"
            lacking.append(f"{name}: {shortages(needs, rooms)}")
            is_served = is_served and self._is_there(name)
        if not lacking:
            return Verdict.HOLDS, f"for {len(models)} of {len(models)} on {len(rooms)} nodes", ""
        remedy = (
            "free what is named, add a node, ask for less in the serving file, or let "
            "`tolerations` and `node_selector` there fit the nodes"
        )
        return (Verdict.WEAK if is_served else Verdict.FAILS), "; ".join(lacking), remedy

    def _is_there(self, endpoint: str) -> bool:
        """Say whether an endpoint is served: then room is lacking for its next version alone."""
        metadata = {"name": endpoint, "namespace": self.ground.namespace}
        wanted = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata}
        return found(self.kubernetes, wanted) is not None

    def _pull_secret(self) -> _Answer:
        told = self.ground.pull_secret_objections(self.kubernetes)
        name = self.ground.kserve.pull_secret
        if not told:
            return Verdict.HOLDS, f"Secret {name} of type {PULL_SECRET} stands", ""
        remedy = (
            f"make it there: kubectl create secret generic {name} --namespace=… "
            f"--type={PULL_SECRET} --from-file=.dockerconfigjson=FILE, where FILE is what `docker "
            "login` wrote; or remove kserve.pull_secret, where nodes need not log in"
        )
        return Verdict.FAILS, "; ".join(told), remedy

    def _image(self) -> _Answer:
        told = self._probed
        if told.image is None:
            return Verdict.UNKNOWN, told.left, "see that a pod can stand on a node, then ask again"
        if told.image:
            remedy = (
                f"push {self.ground.image} where nodes reach it, name it so in "
                "kserve.images.storage_container, and where the registry asks for a login, let "
                "kserve.pull_secret name a Secret with one"
            )
            return Verdict.FAILS, told.image, remedy
        return Verdict.HOLDS, f"it runs on {told.node}", ""

    def _store(self) -> _Answer:
        told, url = self._probed, self.ground.store.url
        if told.store is None:
            return Verdict.UNKNOWN, "no pod could ask it", "mend the image first, then ask again"
        if told.store:
            remedy = (
                f"let {url} (kserve.object_store.url) answer the nodes' network, with the key of "
                f"{self.ground.readers_key.name} allowed to get and list in bucket {self.bucket}"
            )
            return Verdict.FAILS, f"{told.where}: {told.store}", remedy
        return Verdict.HOLDS, f"{url} answers {told.where}", ""

    def _own_objects(self) -> _Answer:
        told = self.ground.objections(self.kubernetes)
        left = self._probed.left if self._probed.image is not None else ""
        if left:
            return Verdict.WEAK, left, "remove that yourself"
        if told:
            return Verdict.WEAK, "; ".join(told), f"{MEND}, which makes them so"
        return Verdict.HOLDS, "Secret, service account and storage container stand", ""


def needs_of_entry(entry: ServedPods, ground: EndpointGround) -> Needs:
    """Return what one pod of a model needs, as far as serving file and estate tell."""
    pods = pods_of(entry, ground.kserve)
    asked = {name: number_of(text) for name, text in {**pods.limits, **pods.requests}.items()}
    return Needs(asked, dict(entry.node_selector), tuple(pods.tolerations))


def _expanded(rights: Iterable[tuple[str, str, str]]) -> Iterator[tuple[str, str, str]]:
    for verbs, group, resources in rights:
        for resource in resources.split():
            for verb in verbs.split():
                yield verb, group, resource


def _gpus_of(node: Object) -> int:
    offered = (node.get("status") or {}).get("allocatable") or {}
    return int(number_of(str(offered.get(GPU, "0"))))


def _is_closed(node: Object) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or ()
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return bool((node.get("spec") or {}).get("unschedulable")) or not ready


def _taints(node: Object) -> str:
    taints = (node.get("spec") or {}).get("taints") or ()
    shown = [
        f"{each['key']}{'=' + each['value'] if each.get('value') else ''}:{each['effect']}"
        for each in taints
    ]
    return f" (taint {', '.join(shown)})" if shown else ""
