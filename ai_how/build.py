"""The composition root: the only file that knows every part.

Here the applied estate becomes connections, and assets, sensors and connections become Dagster's
definitions. Nothing is contacted; the connections open when they are first used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import dagster as dg

from ai_how.estate_file import PROJECT
from ai_how.executor import in_process_with_identity
from platform_assets.audits import live_verification, retention_job
from platform_assets.infrastructure import capacity_plan, gpu_inventory, host_facts
from platform_assets.infrastructure import estate as estate_asset
from platform_assets.lineage.ledger import Ledger
from platform_assets.models import published_copy, registered_version, trained_checkpoint
from platform_assets.services import mlflow as mlflow_service
from platform_assets.services import model_server as model_server_service
from platform_assets.services import object_store as object_store_service
from platform_assets.serving import delivery_job, endpoint, intervention_jobs, live_endpoints
from platform_assets.serving.mlserver_provider import MlserverProvider
from platform_assets.serving.provider import Provider
from platform_assets.spec.applied import AppliedEstate, NotApplied
from resources.host import Host
from resources.mlflow import Mlflow
from resources.model_server import ModelServer
from resources.object_store import ObjectStore
from sensors import (
    arrivals,
    dead_runs,
    drift,
    estate_file,
    failures,
    promotions,
    verification,
)

if TYPE_CHECKING:
    from resources.kubernetes import Kubernetes

MODELS_BUCKET = "models"


@dataclass(frozen=True)
class Connections:
    """The connections of an applied estate; the command line uses them without Dagster."""

    estate: AppliedEstate
    object_store: ObjectStore
    reader_store: ObjectStore
    mlflow: Mlflow
    model_server: ModelServer
    ledger: Ledger
    host: Host
    kubernetes: "Kubernetes | None" = None

    @property
    def provider(self) -> Provider:
        """What carries endpoints, as the estate places them."""
        estate = self.estate
        if estate.serves_on_kubernetes:
            return _kserve_provider(estate, self.kubernetes)
        return MlserverProvider(
            self.model_server, self.reader_store, estate.served, estate.model_repository
        )


def kubernetes_of(applied: AppliedEstate, patience_s: float = 20.0) -> "Kubernetes | None":
    """Return the cluster that models are served on, where the estate serves them on one."""
    cloud = applied.estate.clusters.cloud if applied.serves_on_kubernetes else None
    if cloud is None:
        return None
    from resources.kubernetes import Kubernetes

    kubeconfig = PROJECT / Path(cloud.kubernetes.kubeconfig or "").expanduser()
    return Kubernetes(kubeconfig, patience_s=patience_s)


def connections(applied: AppliedEstate) -> Connections:
    """Return the connections of `applied`, none of them opened yet."""
    addresses = applied.addresses
    return Connections(
        estate=applied,
        object_store=ObjectStore(
            addresses.s3_url, MODELS_BUCKET, applied.secrets / "s3-publisher.json"
        ),
        reader_store=ObjectStore(
            addresses.s3_url, MODELS_BUCKET, applied.secrets / "s3-reader.json"
        ),
        mlflow=Mlflow(addresses.mlflow_url, applied.secrets / "mlflow-credentials.ini"),
        model_server=ModelServer(addresses.model_server_url),
        ledger=Ledger(applied.database_url("ledger_writer", "ledger")),
        host=Host(),
        kubernetes=kubernetes_of(applied),
    )


def _kserve_provider(applied: AppliedEstate, kubernetes: "Kubernetes | None") -> Provider:
    """Return KServe on the cluster of the estate; the estate's rules see to it that there is one.

    Imported here: it is needed where models are served on a cluster, and nowhere else.
    """
    from platform_assets.services.kserve import kserve_of
    from platform_assets.serving.kserve_provider import KserveProvider

    kserve = kserve_of(applied)
    if kubernetes is None:
        message = f"{applied.source}: placement.serving is kubernetes, but no cluster is declared"
        raise NotApplied(message)
    return KserveProvider(kubernetes, kserve, applied.name, MODELS_BUCKET)


def _resources(estate: AppliedEstate, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the connections by name; what is made of them is made of those put in."""
    own = connections(estate)
    known = {field.name for field in fields(own)}
    own = replace(own, **{name: one for name, one in overrides.items() if name in known})
    made = {name: one for name, one in vars(own).items() if one is not None}
    return {**made, "provider": own.provider, **overrides}


def _cluster_part(estate: AppliedEstate) -> dg.Definitions:
    """Return what there is, and is imported, only where models are served on a cluster."""
    if not estate.serves_on_kubernetes:
        return dg.Definitions()
    from platform_assets.services.kserve import (
        kserve_asset_of,
        kserve_checks_of,
        kserve_upkeep_of,
    )
    from sensors.kserve_upkeep import daily_kserve_upkeep

    return dg.Definitions(
        assets=[kserve_asset_of(estate)],
        asset_checks=kserve_checks_of(estate),
        jobs=[kserve_upkeep_of(estate)],
        schedules=[daily_kserve_upkeep],
    )


def _with_carrier(estate: AppliedEstate, spec: dg.AssetSpec) -> dg.AssetSpec:
    """Show on an asset of endpoints what carries them, which only the estate tells."""
    if spec.group_name != "serving" or not estate.serves_on_kubernetes:
        return spec
    return spec.replace_attributes(kinds={"kserve", "openinference"})


def build_defs(
    estate: AppliedEstate, resource_overrides: Mapping[str, Any] | None = None
) -> dg.Definitions:
    """Return the definitions of `estate`; tests put other connections in by name."""
    resources = _resources(estate, resource_overrides or {})
    modules = [
        host_facts,
        gpu_inventory,
        trained_checkpoint,
        published_copy,
        registered_version,
        endpoint,
        live_endpoints,
        object_store_service,
        mlflow_service,
        model_server_service,
        live_verification,
    ]
    # The signature of `load_assets_from_modules` is wider than what these modules hold.
    loaded = cast("Sequence[dg.AssetsDefinition]", dg.load_assets_from_modules(modules))
    cluster = _cluster_part(estate)
    return dg.Definitions(
        assets=[
            estate_asset.estate_asset_of(estate),
            capacity_plan.capacity_plan_of(estate),
            *(cluster.assets or ()),
            *dg.map_asset_specs(partial(_with_carrier, estate), loaded),
        ],
        asset_checks=[
            estate_asset.estate_findings,
            *(cluster.asset_checks or ()),
            *dg.load_asset_checks_from_modules(modules),
        ],
        jobs=[
            delivery_job.deliver_checkpoint,
            *intervention_jobs.JOBS,
            live_verification.verify_live_models,
            retention_job.apply_retention_job,
            estate_asset.judge_estate,
            *(cluster.jobs or ()),
        ],
        schedules=[verification.hourly_verification, *(cluster.schedules or ())],
        sensors=[
            arrivals.arrivals,
            failures.delivery_failures,
            promotions.promotions,
            dead_runs.dead_runs,
            drift.live_endpoints_drift,
            estate_file.estate_edited,
        ],
        resources=resources,
        executor=in_process_with_identity,
    )
