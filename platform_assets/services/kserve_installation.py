"""KServe, made and kept whole on a cluster by server-side apply: nothing is deleted here.

The order is that of what needs what: kinds, rights and configuration, certificate, manager,
webhooks, runtimes. Every step can be repeated; what is as it should be stays untouched.
"""

import base64
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from platform_assets.services import kserve_manifests as manifests
from platform_assets.services.cluster_objects import (
    Change,
    ensure,
    ensure_namespace,
    expect_ours,
    found,
    marked,
    named,
)
from platform_assets.services.kserve_files import KserveFiles
from platform_assets.services.webhook_certificate import (
    Issued,
    authority_objection,
    bundle,
    certificate_objection,
    new_authority,
    new_certificate,
)
from platform_assets.spec.model.services import Kserve
from resources.kubernetes import Kubernetes
from resources.kubernetes_words import is_ready

ESTABLISHED_S: Final = 60.0
FAREWELL_S: Final = 60.0
POLL_S: Final = 0.5
MANAGER_S: Final = 300.0  # its image may have to be pulled
_FOREIGN: Final = (
    "set kserve.managed to false where somebody else provides KServe, or remove that one first"
)
Object = dict[str, Any]


@dataclass(frozen=True)
class Installation:
    """KServe as the estate wants it on a cluster."""

    kubernetes: Kubernetes
    files: KserveFiles
    kserve: Kserve
    estate: str
    say: Callable[[str], None]

    def ensure(self) -> list[Change]:
        """Make it true; return what became of each object.

        Raises:
            NotOurs: KServe is there, made by somebody else; nothing was changed.
            KubernetesError: the cluster refused, or something did not become ready in time.
        """
        kinds = manifests.definitions(self.files)
        ground = manifests.ground(self.files, self.kserve)
        expect_ours(self.kubernetes, [*kinds, *ground], self.estate, _FOREIGN)
        changes = [ensure_namespace(self.kubernetes, self.kserve.namespace, self.estate)]
        changes += [self._ensure(one) for one in kinds]
        for one in kinds:
            self._wait_until_established(one)
        changes += [self._ensure(one) for one in ground]
        authority, renewed = self._authority(changes)
        certificate = self._certificate(authority, changes)
        renewed = renewed or changes[-1].how != "as it was"
        # Whom pods still show is trusted until none of them does.
        changes += [self._ensure(one) for one in self._trusting(authority, keep=renewed)]
        deployment = manifests.manager(self.files, self.kserve, certificate.fingerprint)
        changes.append(self._ensure(deployment))
        self.wait_for_manager()
        if renewed and self._is_shown_by_all(certificate):
            for one in self._trusting(authority, keep=False):
                self._ensure(one)
        changes += [self._ensure(one) for one in manifests.runtimes(self.files, self.kserve)]
        return changes

    def wait_for_manager(self) -> None:
        """Return when the manager that is wanted answers, and no older one does.

        Raises:
            WaitExpired: it does not in time; the message has its pods' words.
        """
        self.say(f"waiting for {manifests.MANAGER}, at most {MANAGER_S:g} s")
        self.kubernetes.wait(
            "apps/v1",
            "Deployment",
            manifests.MANAGER,
            self.kserve.namespace,
            is_rolled_out,
            what="all pods of the wanted manager to be available",
            timeout_s=MANAGER_S,
        )

    def _is_shown_by_all(self, certificate: Issued) -> bool:
        """Say whether no pod shows another certificate any more; wait for those that go."""
        deadline = time.monotonic() + FAREWELL_S
        while True:
            labels = {"control-plane": manifests.MANAGER}
            pods = self.kubernetes.list("v1", "Pod", self.kserve.namespace, labels)
            shown = {
                (pod["metadata"].get("annotations") or {}).get(manifests.CERTIFICATE_ANNOTATION)
                for pod in pods
            }
            if shown <= {certificate.fingerprint}:
                return True
            if time.monotonic() > deadline:
                self.say("an older manager goes on; whom it shows is trusted until the next time")
                return False
            time.sleep(POLL_S)

    def _ensure(self, manifest: Object) -> Change:
        change = ensure(self.kubernetes, marked(manifest, self.estate))
        if change.how != "as it was":
            self.say(str(change))
        return change

    def _wait_until_established(self, definition: Object) -> None:
        self.kubernetes.wait(
            definition["apiVersion"],
            definition["kind"],
            definition["metadata"]["name"],
            None,
            lambda one: one is not None and is_ready(one, "Established"),
            what="to be established",
            timeout_s=ESTABLISHED_S,
        )

    def _authority(self, changes: list[Change]) -> tuple[Issued, bool]:
        now = datetime.now(UTC)
        kept = self._kept(manifests.AUTHORITY_SECRET)
        objection = authority_objection(kept, now)
        if not objection and kept is not None:
            return kept, False
        self.say(f"making an authority for the webhooks: {objection}")
        made = new_authority(now)
        self._keep(manifests.AUTHORITY_SECRET, made, {}, changes)
        return made, True

    def _certificate(self, authority: Issued, changes: list[Change]) -> Issued:
        now = datetime.now(UTC)
        hosts = manifests.webhook_hosts(self.kserve.namespace)
        kept = self._kept(manifests.CERTIFICATE_SECRET)
        objection = certificate_objection(kept, authority, hosts, now)
        if not objection and kept is not None:
            what = manifests.secret(manifests.CERTIFICATE_SECRET, self.kserve.namespace, {})
            changes.append(Change(named(what), "as it was"))
            return kept
        self.say(f"making a certificate for the webhooks: {objection}")
        made = new_certificate(authority, hosts, now)
        more = {"ca.crt": authority.certificate}
        self._keep(manifests.CERTIFICATE_SECRET, made, more, changes)
        return made

    def _trusting(self, authority: Issued, *, keep: bool) -> list[Object]:
        """Return the webhook configurations; with `keep` they still trust who was trusted last."""
        before = "".join(self._bundles()) if keep else ""
        trusted = bundle(authority, before, datetime.now(UTC))
        return manifests.webhooks(self.files, self.kserve, trusted)

    def _bundles(self) -> Iterator[str]:
        for one in manifests.webhooks(self.files, self.kserve, ""):
            configured = found(self.kubernetes, one)
            for webhook in (configured or {}).get("webhooks") or ():
                yield base64.b64decode(webhook["clientConfig"].get("caBundle") or "").decode()

    def _kept(self, name: str) -> Issued | None:
        one = found(self.kubernetes, manifests.secret(name, self.kserve.namespace, {}))
        if one is None:
            return None
        certificate, key = (manifests.secret_text(one, part) for part in ("tls.crt", "tls.key"))
        return Issued(certificate, key)

    def _keep(self, name: str, issued: Issued, more: dict[str, str], changes: list[Change]) -> None:
        data = {"tls.crt": issued.certificate, "tls.key": issued.key, **more}
        kept = manifests.secret(name, self.kserve.namespace, data, "kubernetes.io/tls")
        changes.append(self._ensure(kept))


def is_rolled_out(deployment: Object | None) -> bool:
    """Say whether all pods of a Deployment are of its newest template and take requests."""
    if deployment is None:
        return False
    status, wanted = deployment.get("status") or {}, deployment["spec"].get("replicas", 1)
    counts = (status.get(f"{which}eplicas", 0) for which in ("r", "updatedR", "availableR"))
    generation = deployment["metadata"]["generation"]
    return bool(status.get("observedGeneration", 0) >= generation) and all(
        count == wanted for count in counts
    )
