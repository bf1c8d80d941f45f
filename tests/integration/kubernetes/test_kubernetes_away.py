"""The connection to a cluster that goes away, and kubeconfigs that are of no use."""

import copy
import socket
import threading
import time
import uuid
from pathlib import Path

import pytest
import yaml

from resources.kubernetes import Kubernetes
from resources.kubernetes_errors import (
    KubeconfigRefused,
    KubernetesRefused,
    KubernetesUnavailable,
)
from tests.integration.kubernetes.test_kubernetes import config_map
from tests.lab.api_server import ApiServer
from tests.lab.certificates import CertificateAuthority

ONE_CONTEXT = "{contexts: [{name: a, context: {cluster: c}}], current-context: a"
DAMAGED = "server: 'https://x', certificate-authority-data: '?'"
CONFIG_MAP = ("v1", "ConfigMap")


@pytest.fixture
def kubeconfig(api_server, tmp_path):
    """Return a function that writes a kubeconfig like the administrator's, but changed."""
    good = yaml.safe_load(api_server.kubeconfig.read_text())

    def write(change=lambda _: None) -> Path:
        changed = copy.deepcopy(good)
        change(changed)
        file = tmp_path / "kubeconfig"
        file.write_text(yaml.safe_dump(changed))
        return file

    return write


def test_a_watch_goes_on_over_a_restart(api_server):
    cluster = Kubernetes(api_server.kubeconfig)
    name = f"seen-{uuid.uuid4().hex[:8]}"
    seen: list[tuple[str, str]] = []

    def follow():
        for change, one in cluster.watch(*CONFIG_MAP, "default", name=name, timeout_s=60):
            seen.append((change, (one.get("data") or {}).get("n", "")))
            if change == "DELETED":
                return

    watching = threading.Thread(target=follow)
    watching.start()
    cluster.apply(config_map("default", name, n="1"))
    api_server.restart_api_server()
    cluster.apply(config_map("default", name, n="2"))
    cluster.delete(*CONFIG_MAP, name, "default")
    watching.join(60)
    assert seen == [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "2")]


def test_a_watch_tells_what_happened_while_changes_were_forgotten(api_server):
    cluster = Kubernetes(api_server.kubeconfig)
    kept, gone = (f"{name}-{uuid.uuid4().hex[:8]}" for name in ("kept", "gone"))
    labels = {"forgotten": kept}
    for name in (kept, gone):
        wanted = config_map("default", name, n="1")
        wanted["metadata"]["labels"] = labels
        cluster.apply(wanted)
    changes = cluster.watch(*CONFIG_MAP, "default", labels=labels, timeout_s=60)
    first = {next(changes)[1]["metadata"]["name"] for _ in range(2)}
    # A new API server remembers no change from before its start.
    api_server.restart_api_server()
    cluster.delete(*CONFIG_MAP, gone, "default")
    wanted["metadata"]["name"] = kept
    cluster.apply(wanted | {"data": {"n": "2"}})
    api_server.restart_api_server()
    told = {(change, one["metadata"]["name"]) for change, one in (next(changes), next(changes))}
    assert first == {kept, gone}
    assert told == {("DELETED", gone), ("MODIFIED", kept)}


def test_a_wait_outlives_a_restart(api_server):
    cluster = Kubernetes(api_server.kubeconfig, patience_s=1)
    name = f"late-{uuid.uuid4().hex[:8]}"

    def restart():
        api_server.restart_api_server()
        cluster.apply(config_map("default", name))

    api_server.stop_api_server()
    restarting = threading.Thread(target=restart)
    restarting.start()
    found = cluster.wait(*CONFIG_MAP, name, "default", bool, what="to be there", timeout_s=60)
    restarting.join()
    assert found["metadata"]["name"] == name


def test_a_request_outlives_a_restart(api_server):
    cluster = Kubernetes(api_server.kubeconfig)
    cluster.version()
    api_server.stop_api_server()
    restarting = threading.Thread(target=api_server.start_api_server)
    restarting.start()
    assert cluster.version()
    restarting.join()


def test_a_server_that_is_down_is_unavailable_in_time(kubeconfig):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{unused.getsockname()[1]}"

    def elsewhere(config):
        config["clusters"][0]["cluster"]["server"] = url

    cluster = Kubernetes(kubeconfig(elsewhere), patience_s=2)
    begun = time.monotonic()
    with pytest.raises(KubernetesUnavailable, match=rf"{url}.*is the cluster up and reachable\?"):
        cluster.version()
    with pytest.raises(KubernetesUnavailable):
        cluster.wait(*CONFIG_MAP, "x", "default", bool, what="to be there", timeout_s=1)
    assert time.monotonic() - begun < 10


def test_a_server_that_never_answers_is_unavailable_in_time(kubeconfig):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"

        def elsewhere(config):
            config["clusters"][0]["cluster"]["server"] = url

        begun = time.monotonic()
        with pytest.raises(KubernetesUnavailable, match="no answer in time"):
            Kubernetes(kubeconfig(elsewhere), patience_s=2).version()
        assert time.monotonic() - begun < 12


def test_a_watch_of_a_server_that_is_down_tells_so_at_its_end(tmp_path):
    with ApiServer(tmp_path / "own") as server:
        cluster = Kubernetes(server.kubeconfig, patience_s=1)
        cluster.get("v1", "Namespace", "default")
        changes = cluster.watch("v1", "Namespace", timeout_s=8)
        assert next(changes)[0] == "ADDED"
    with pytest.raises(KubernetesUnavailable, match="watch Namespace"):
        list(changes)


def test_a_wrong_token_is_told_without_showing_it(kubeconfig):
    def wrong_token(config):
        config["users"][0]["user"] = {"token": "not-to-be-seen"}

    with pytest.raises(KubernetesRefused, match="is not accepted: its credentials") as caught:
        Kubernetes(kubeconfig(wrong_token)).version()
    assert "not-to-be-seen" not in str(caught.value)
    assert "kubeconfig" in str(caught.value)


def test_a_token_of_a_service_account_is_accepted(api_server, kubeconfig):
    administrator = Kubernetes(api_server.kubeconfig)
    account = {"apiVersion": "v1", "kind": "ServiceAccount"}
    administrator.apply(account | {"metadata": {"name": "reader", "namespace": "default"}})
    path = "/api/v1/namespaces/default/serviceaccounts/reader/token"
    asked = administrator.http().post(api_server.url + path, json={"spec": {}})
    token_file = api_server.directory / "token"
    token_file.write_text(asked.json()["status"]["token"])

    def by_token(config):
        config["users"][0]["user"] = {"tokenFile": str(token_file)}

    assert Kubernetes(kubeconfig(by_token)).version()


def test_a_credential_program_gives_the_token(api_server, kubeconfig, tmp_path):
    program = tmp_path / "login"
    program.write_text("#!/bin/sh\necho no luck >&2\nexit 3\n")
    program.chmod(0o755)

    def by_program(config):
        login = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(program)}
        config["users"][0]["user"] = {"exec": login | {"interactiveMode": "Never"}}

    with pytest.raises(KubeconfigRefused, match="credential program to give a token"):
        Kubernetes(kubeconfig(by_program)).version()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "expected a kubeconfig, found nothing"),
        ("a: [b", "found what cannot be read"),
        ("password: not-to-be-seen", "with a list of contexts, found none"),
        ("contexts: []", "with a current-context, found none at all"),
        (f"{ONE_CONTEXT}, clusters: []}}", "Expected object with name c"),
        (
            f"{ONE_CONTEXT}, clusters: [{{name: c, cluster: {{server: nowhere}}}}]}}",
            "expected `server` as https://HOST",
        ),
        (
            f"{ONE_CONTEXT}, clusters: [{{name: c, cluster: {{{DAMAGED}}}}}]}}",
            "expected a usable cluster and user",
        ),
    ],
)
def test_a_kubeconfig_of_no_use_is_told(tmp_path, content, told):
    file = tmp_path / "kubeconfig"
    if content is not None:
        file.write_text(content)
    with pytest.raises(KubeconfigRefused, match=told) as caught:
        Kubernetes(file, patience_s=1).version()
    assert str(file) in str(caught.value)
    assert "not-to-be-seen" not in str(caught.value)


def test_a_context_that_there_is_not_is_told_with_those_that_there_are(kubeconfig):
    with pytest.raises(KubeconfigRefused, match="with context 'cloud', found lab; name one"):
        Kubernetes(kubeconfig(), context="cloud").version()


def test_another_clusters_authority_is_told(kubeconfig, tmp_path):
    authority = CertificateAuthority(tmp_path)

    def other(config):
        cluster = config["clusters"][0]["cluster"]
        del cluster["certificate-authority-data"]
        cluster["certificate-authority"] = authority.ensure().name

    with pytest.raises(KubeconfigRefused, match="is it the right cluster"):
        Kubernetes(kubeconfig(other)).version()


def test_no_key_is_left_behind(api_server, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert Kubernetes(api_server.kubeconfig).version()
    assert list(tmp_path.iterdir()) == []
