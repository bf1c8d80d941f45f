"""KServe and what endpoints need beside it, as an asset; there only where the estate serves on it.

Where `kserve.managed` is true, KServe is installed and kept whole (`kserve_installation.py`); where
it is false, nothing of KServe is touched, and it is only asked whether it works
(`kserve_soundness.py`). What is ours in either case stands in `endpoint_ground.py`.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import dagster as dg

from platform_assets import keys
from platform_assets.services.cluster_objects import Change
from platform_assets.services.endpoint_ground import EndpointGround, EstateLacks
from platform_assets.services.kserve_files import KserveFiles, read_kserve_files
from platform_assets.services.kserve_installation import Installation
from platform_assets.services.kserve_soundness import Found, KserveSoundness, KserveUnsound
from platform_assets.spec.applied import AppliedEstate
from platform_assets.spec.errors import AiHowError
from platform_assets.spec.model.services import Kserve
from resources.errors import ResourceError
from resources.kubernetes import Kubernetes

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import (
        UnresolvedAssetJobDefinition,
    )

LOGIC_VERSION: Final = "1"
UPKEEP_JOB: Final = "keep_kserve"
# What of the estate decides what is applied.
PARTS: Final = (
    ("metadata", "name"),
    ("placement", "serving"),
    ("clusters", "cloud", "kubernetes", "kubeconfig"),
    ("clusters", "cloud", "mlops", "serving", "kserve"),
)
_PROJECT: Final = Path(__file__).resolve().parents[2]
_Ask = Callable[[KserveSoundness, EndpointGround], Found]


def kserve_of(applied: AppliedEstate) -> Kserve:
    """Return what the estate says of KServe.

    Raises:
        EstateLacks: nothing.
    """
    cloud = applied.estate.clusters.cloud
    serving = cloud.mlops.serving if cloud is not None else None
    if serving is None or serving.kserve is None:
        message = (
            f"{applied.source}: placement.serving is kubernetes; expected "
            "clusters.cloud.mlops.serving.kserve, found none; declare it"
        )
        raise EstateLacks(message)
    return serving.kserve


def ground_of(applied: AppliedEstate) -> EndpointGround:
    """Return what endpoints of the estate stand on."""
    return EndpointGround(kserve_of(applied), applied.name, applied.secrets / "s3-reader.json")


def files_of(kserve: Kserve) -> KserveFiles:
    """Return KServe's manifests, from the folder that the estate names.

    Raises:
        EstateLacks: it names none, or no image of the manager.
        KserveManifestsRefused: what it names is no KServe, or another version of it.
    """
    lacking = [
        key
        for key, value in (
            ("manifests", kserve.manifests),
            ("images.manager", kserve.images.manager),
        )
        if value is None
    ]
    if lacking or kserve.manifests is None:
        message = (
            f"kserve is managed: expected {' and '.join(f'kserve.{one}' for one in lacking)} in "
            "the estate, found none; name them, or set kserve.managed to false"
        )
        raise EstateLacks(message)
    return read_kserve_files(_PROJECT / Path(kserve.manifests).expanduser(), kserve.version)


def ensure_serving_ground(
    kubernetes: Kubernetes, applied: AppliedEstate, say: Callable[[str], None]
) -> list[Change]:
    """Make true what endpoints need of the cluster; return what became of each object.

    Raises:
        AiHowError: the estate or the cluster is not such that it can be served on; the reason.
        KubernetesError: the cluster refused, or something did not become ready in time.
    """
    kserve, ground = kserve_of(applied), ground_of(applied)
    ground.manifests()  # what the estate lacks is told before anything is touched
    changes: list[Change] = []
    if kserve.managed:
        installation = Installation(kubernetes, files_of(kserve), kserve, applied.name, say)
        changes = installation.ensure()
    soundness = KserveSoundness(kubernetes, kserve)
    objections = soundness.objections()
    if objections:
        provider = "" if kserve.managed else " (kserve.managed is false: its owner provides it)"
        message = (
            f"KServe at {kubernetes.url}{provider}: expected one that works, found: "
            f"{'; '.join(objections)}; {soundness.remedy}"
        )
        raise KserveUnsound(message)
    return [*changes, *ground.ensure(kubernetes)]


def kserve_asset_of(applied: AppliedEstate) -> dg.AssetsDefinition:
    """Return the asset of the applied estate, out of date when its part of the estate changed."""

    @dg.asset(
        key=keys.KSERVE,
        deps=[keys.ESTATE, keys.OBJECT_STORE],
        group_name="services",
        kinds={"kubernetes", "kserve"},
        owners=[keys.OWNER],
        code_version=f"{LOGIC_VERSION}-{applied.part_digest(*PARTS)}",
    )
    # Dagster takes the result with its type's parameter for one of several outputs.
    def kserve_asset(
        context: dg.AssetExecutionContext, kubernetes: dg.ResourceParam[Kubernetes]
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]
        """KServe, working, and what endpoints need: namespace, reader's key, storage container.

        Where the estate says `kserve.managed: false`, KServe itself was only looked at.
        """
        begun = time.monotonic()
        changes = ensure_serving_ground(kubernetes, applied, context.log.info)
        return dg.MaterializeResult(
            metadata=_metadata(kubernetes, applied, changes)
            | {"seconds": round(time.monotonic() - begun, 3)}
        )

    return kserve_asset


def _metadata(
    kubernetes: Kubernetes, applied: AppliedEstate, changes: Sequence[Change]
) -> dict[str, dg.MetadataValue]:
    kserve = kserve_of(applied)
    made = [change for change in changes if change.how != "as it was"]
    version = KserveSoundness(kubernetes, kserve).version()
    if kserve.managed:
        version = files_of(kserve).version
    listed = "\n".join(f"- {change}" for change in made) or "nothing: all was as it should be"
    return {
        "api_server": dg.MetadataValue.url(kubernetes.url),
        "kubernetes": dg.MetadataValue.text(kubernetes.version()),
        "kserve": dg.MetadataValue.text(version or "not told"),
        "managed": dg.MetadataValue.bool(kserve.managed),
        "manager_image": dg.MetadataValue.text(kserve.images.manager or "its owner's"),
        "storage_container": dg.MetadataValue.text(kserve.images.storage_container or ""),
        "namespace": dg.MetadataValue.text(kserve.inference_services.namespace),
        "changed": dg.MetadataValue.md(listed),
        "objects": dg.MetadataValue.int(len(changes)),
    }


def _ground_as_wanted(_soundness: KserveSoundness, ground: EndpointGround) -> Found:
    told = [
        *ground.objections(_soundness.kubernetes),
        *ground.pull_secret_objections(_soundness.kubernetes),
    ]
    return Found(not told, "; ".join(told) or "Secret, service account and storage container stand")


# Name, what it says, how it is asked.
_CHECKS: Final[tuple[tuple[str, str, _Ask], ...]] = (
    (
        "definitions",
        "KServe's kinds are established.",
        lambda soundness, _: soundness.definitions(),
    ),
    (
        "webhooks",
        "KServe refuses a wrong InferenceService in a dry run, and takes a right one.",
        lambda soundness, _: soundness.webhooks(),
    ),
    ("manager", "The manager is available.", lambda soundness, _: soundness.manager()),
    (
        "certificate",
        "The certificate of the webhooks lasts.",
        lambda soundness, _: soundness.certificate(),
    ),
    (
        "endpoint_ground",
        "Secret, service account and storage container are as the estate says.",
        _ground_as_wanted,
    ),
)


def kserve_checks_of(applied: AppliedEstate) -> list[dg.AssetChecksDefinition]:
    """Return the checks of the asset."""
    return [_check_of(applied, *one) for one in _CHECKS]


def kserve_upkeep_of(applied: AppliedEstate) -> "UnresolvedAssetJobDefinition":
    """Return the job that keeps KServe sound: made true and checked, or its owner's only checked.

    When it runs is decided in `sensors/kserve_upkeep.py`.
    """
    is_managed = kserve_of(applied).managed
    checks = dg.AssetSelection.checks_for_assets(keys.KSERVE)
    return dg.define_asset_job(
        UPKEEP_JOB,
        selection=dg.AssetSelection.assets(keys.KSERVE) | checks if is_managed else checks,
        description=(
            "Puts back what KServe needs, renews its certificate in time, and checks it."
            if is_managed
            else "Checks the KServe that the cluster's owner provides."
        ),
    )


def _check_of(
    applied: AppliedEstate, name: str, description: str, ask: _Ask
) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=keys.KSERVE, name=name, description=description)
    def check(kubernetes: dg.ResourceParam[Kubernetes]) -> dg.AssetCheckResult:
        """Ask the cluster as it is now."""
        try:
            soundness = KserveSoundness(kubernetes, kserve_of(applied))
            answer = ask(soundness, ground_of(applied))
        except (AiHowError, ResourceError) as error:
            return dg.AssetCheckResult(passed=False, description=str(error))
        unknown = answer.holds is None
        return dg.AssetCheckResult(
            passed=answer.holds is True,
            severity=dg.AssetCheckSeverity.WARN if unknown else dg.AssetCheckSeverity.ERROR,
            description=answer.words,
        )

    return check
