"""What a probe's pod shows in its status, as the kubelet writes it, and how it is read."""

from platform_assets.services.endpoint_ground import EndpointGround
from platform_assets.serving.probe_pod import Probed, ProbePod, has_told, told_by
from platform_assets.spec.model.services import Kserve

IMAGE = {"imageID": "docker.io/ai-how/storage-container@sha256:1"}


def pod(phase="Pending", state=None, condition=None, **more):
    status = {
        "phase": phase,
        "containerStatuses": [{"name": "probe", "state": state or {}, **more}],
    }
    if condition:
        status["conditions"] = [condition]
    return {"metadata": {"name": "p"}, "spec": {"nodeName": "n1"}, "status": status}


def test_it_answered():
    ended = pod("Succeeded", {"terminated": {"exitCode": 0, "message": "{}"}}, **IMAGE)
    assert has_told(ended)
    assert told_by(ended) == Probed("", "", "n1")
    assert told_by(ended).where == "from a pod on n1"


def test_the_containers_own_words_are_told():
    said = "s3://models/ at http://s: 403 SignatureDoesNotMatch; the keys are wrong"
    ended = pod("Failed", {"terminated": {"exitCode": 4, "message": said}}, **IMAGE)
    assert told_by(ended) == Probed("", said, "n1")


def test_a_container_that_says_nothing_is_told_by_its_ending():
    ended = pod("Failed", {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}, **IMAGE)
    assert told_by(ended).store == "container probe OOMKilled with exit code 137"


def test_an_image_that_is_not_pulled():
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}
    assert has_told(pod(state=waiting))
    assert told_by(pod(state=waiting)) == Probed(
        "ImagePullBackOff: Back-off pulling image", None, "n1"
    )


def test_no_node_takes_it():
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/3 nodes are available",
    }
    waiting = pod(condition=condition)
    waiting["status"]["containerStatuses"] = []
    assert has_told(waiting)
    assert told_by(waiting).left == "not scheduled: 0/3 nodes are available"
    assert told_by(waiting).image is told_by(waiting).store is None


def test_it_is_waited_for():
    creating = {"waiting": {"reason": "ContainerCreating"}}
    assert not has_told(pod(state=creating))
    assert has_told(None)
    assert told_by({}).left == "somebody deleted the pod"


def test_its_image_is_pulled_as_those_of_endpoints_are(tmp_path):
    store = {"object_store": {"url": "http://s"}, "images": {"storage_container": "s@sha256:1"}}
    for more, wanted in (({}, None), ({"pull_secret": "registry"}, [{"name": "registry"}])):
        ground = EndpointGround(Kserve.model_validate(store | more), "lab", tmp_path / "key")
        probe = ProbePod(None, ground, "models", "models", [], [])
        assert probe.manifest("p")["spec"].get("imagePullSecrets") == wanted
