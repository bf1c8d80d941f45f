"""MLOps services on the cloud cluster, and the monitoring."""

from typing import Literal

from pydantic import Field

from platform_assets.spec.model.base import (
    Declared,
    Duration,
    Free,
    ObjectName,
    Port,
    Quantity,
    Secret,
    Version,
    unit,
)


class Volume(Declared):
    """A persistent volume."""

    size: Quantity = "10Gi"
    """Its size."""
    storage_class: str | None = Field(default=None, alias="class")
    """Its storage class; absent: the default one."""
    retention: Duration | None = None
    """How long what it holds is kept."""


class Database(Declared):
    """How a service reaches its database."""

    type: Literal["postgresql"] = "postgresql"
    """Kind of database."""
    host: str | None = None
    """Name of the service or host."""
    port: Port = 5432
    """Port."""
    database: str = Field(default="mlflow")
    """Name of the database."""
    username: str = "mlflow"
    """Login role."""
    password: Secret | None = None
    """Its password, as a reference."""


class ArtifactStore(Declared):
    """Where MLflow keeps artifacts."""

    type: str = "s3"
    """minio, seaweedfs or s3."""
    bucket: str | None = None
    """Bucket."""
    endpoint: str | None = None
    """Host and port of the S3 server."""
    credentials: Secret | None = None
    """Key of the S3 server, as a reference."""


class Service(Declared):
    """A Kubernetes Service."""

    name: str | None = None
    """Its name."""
    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    """Its type."""
    port: Port | None = None
    """Its port."""
    api_port: Port | None = None
    """Port of the S3 server's API."""
    console_port: Port | None = None
    """Port of the S3 server's console."""


class ServiceIngress(Declared):
    """The name under which a service is reached from outside."""

    enabled: bool = True
    """Whether it is."""
    host: str | None = None
    """Host name."""
    path: str = "/"
    """Path below it."""


class MlflowService(Declared):
    """MLflow's server."""

    enabled: bool = True
    """Whether it runs."""
    version: Version | None = None
    """Its version."""
    image: str | None = None
    """Container image; absent: the official one of that version."""
    replicas: int = Field(default=1, ge=1, le=100)
    """How many pods."""
    database: Database | None = None
    """Its database."""
    artifact_store: ArtifactStore | None = None
    """Where it keeps artifacts."""
    service: Service = Service()
    """Its Kubernetes Service."""
    ingress: ServiceIngress | None = None
    """Its name outside."""


class Credentials(Declared):
    """The first user of an S3 server."""

    root_user: str | None = None
    """Its name."""
    root_password: Secret | None = None
    """Its password, as a reference."""


class Bucket(Declared):
    """A bucket."""

    name: str
    """Its name."""


class ObjectStoreService(Declared):
    """An S3 server on the cluster."""

    enabled: bool = True
    """Whether it runs."""
    version: Version | None = None
    """Its version."""
    replicas: int = Field(default=1, ge=1, le=100)
    """How many pods."""
    storage: Volume = Volume(size="100Gi")
    """Its volume."""
    service: Service = Service()
    """Its Kubernetes Service."""
    ingress: ServiceIngress | None = None
    """Its name outside."""
    credentials: Credentials | None = None
    """Its first user."""
    buckets: tuple[Bucket, ...] = ()
    """Buckets that are made."""


class PostgresqlService(Declared):
    """PostgreSQL on the cluster."""

    enabled: bool = True
    """Whether it runs."""
    version: Version | None = None
    """Its version."""
    database: Database | None = None
    """The database that is made."""
    storage: Volume = Volume(size="20Gi")
    """Its volume."""
    service: Service = Service()
    """Its Kubernetes Service."""
    replicas: int = Field(default=1, ge=1, le=9)
    """How many; more than one is high availability."""


class Autoscaling(Declared):
    """How the number of pods of an endpoint follows its load."""

    enabled: bool = False
    """Whether it does."""
    min_replicas: int = Field(default=1, ge=0, le=1000)
    """Fewest pods; 0 needs Knative."""
    max_replicas: int = Field(default=1, ge=1, le=1000)
    """Most pods."""
    target_concurrency: int | None = Field(default=None, ge=1, json_schema_extra=unit("requests"))
    """Requests at a time per pod; needs Knative."""
    target_cpu_percent: int | None = Field(default=None, ge=1, le=100, json_schema_extra=unit("%"))
    """Use of the requested processor per pod."""


class Resources(Declared):
    """What a pod asks for, and what it may use at most."""

    requests: dict[str, Quantity] = Field(default_factory=dict)
    """What is set aside for it."""
    limits: dict[str, Quantity] = Field(default_factory=dict)
    """What it may use at most."""


class InferenceServices(Declared):
    """What endpoints get that say nothing else."""

    namespace: str = "default"
    """Namespace of the InferenceServices."""
    default_resources: Resources = Resources()
    """Their resources."""


class ServingRuntime(Declared):
    """A KServe runtime that is installed."""

    name: str
    """Its name."""
    namespace: str | None = None
    """Namespace of a ServingRuntime; absent: a ClusterServingRuntime."""
    image: str | None = None
    """Its container image."""


class KserveImages(Declared):
    """Container images that this platform gives to KServe, named with their digests."""

    manager: str | None = None
    """KServe's manager, as in docker.io/kserve/kserve-controller@sha256:…."""
    storage_container: str | None = None
    """Our storage container, which verifies each byte of a model before a pod starts."""


class PodObjectStore(Declared):
    """The object store that holds models, as pods reach it."""

    url: str
    """Its URL, as in http://seaweedfs.mlops.svc:8333; 127.0.0.1 would be the pod itself."""
    region: str = "us-east-1"
    """Its region."""
    secret: str = "ai-how-models"  # noqa: S105 - a name
    """Name of the Secret with the reader's key, and of the service account of the pods."""


class Kserve(Declared):
    """KServe."""

    enabled: bool = True
    """Whether there is one."""
    managed: bool = True
    """Whether this platform installs it and keeps it whole; false: the cluster's owner does."""
    images: KserveImages = KserveImages()
    """Container images that this platform gives to KServe."""
    pull_secret: ObjectName | None = None
    """Secret with the login by which nodes pull images, in the namespaces of endpoints and manager;
    absent: they need none."""
    manifests: str | None = None
    """Where managed: folder of KServe's own manifests, a checkout of its repository of that version
    or the folder of its Go module; relative to this project."""
    object_store: PodObjectStore | None = None
    """The object store that holds models, as pods reach it."""
    version: Version | None = None
    """Its version."""
    namespace: str = "kserve"
    """Namespace of its manager."""
    mode: Literal["standard", "knative"] = "standard"
    """Whether Kubernetes itself runs endpoints (once called raw), or Knative."""
    runtimes: tuple[ServingRuntime, ...] = ()
    """Runtimes that are installed; none named: all that come with KServe."""
    inference_services: InferenceServices = InferenceServices()
    """What endpoints get that say nothing else."""
    autoscaling: Autoscaling = Autoscaling()
    """How the number of pods follows the load."""


class Serving(Declared):
    """What serves models on the cluster."""

    kserve: Kserve | None = None
    """KServe."""
    seldon: "Seldon | None" = None
    """Seldon Core, which is not supported."""


class Seldon(Declared):
    """Seldon Core; it can only be declared as off."""

    enabled: bool = False
    """Whether it is installed."""
    version: Version | None = None
    """Its version."""


class Mlops(Declared):
    """MLOps services on the cluster."""

    namespace: str = "mlops"
    """Their namespace."""
    mlflow: MlflowService | None = None
    """MLflow's server."""
    minio: ObjectStoreService | None = None
    """MinIO."""
    seaweedfs: ObjectStoreService | None = None
    """SeaweedFS."""
    postgresql: PostgresqlService | None = None
    """PostgreSQL."""
    serving: Serving | None = None
    """What serves models."""


class Prometheus(Declared):
    """Prometheus."""

    enabled: bool = True
    """Whether it runs."""
    version: Version | None = None
    """Its version."""
    storage: Volume = Volume(size="50Gi", retention="30d")
    """Its volume, and how long figures are kept."""
    mib_per_day: int = Field(default=1536, ge=1, json_schema_extra=unit("MiB/day"))
    """How much it is expected to write; used to judge the volume."""
    service_monitors: tuple[str, ...] = ()
    """What it watches."""


class Datasource(Declared):
    """A data source of Grafana."""

    name: str
    """Its name."""
    type: str
    """Its type."""
    url: str
    """Where it answers."""


class Grafana(Declared):
    """Grafana."""

    enabled: bool = True
    """Whether it runs."""
    version: Version | None = None
    """Its version."""
    dashboards: tuple[str, ...] = ()
    """Dashboards that are installed."""
    datasources: tuple[Datasource, ...] = ()
    """Where its figures come from."""
    ingress: ServiceIngress | None = None
    """Its name outside."""
    admin_password: Secret | None = None
    """Password of its first user, as a reference."""


class Logging(Declared):
    """Where logs are kept."""

    enabled: bool = True
    """Whether they are."""
    provider: str = "loki"
    """loki or elasticsearch."""
    version: Version | None = None
    """Its version."""
    storage: Volume = Volume(size="30Gi", retention="7d")
    """Its volume, and how long logs are kept."""
    mib_per_day: int = Field(default=512, ge=1, json_schema_extra=unit("MiB/day"))
    """How much is expected to be written; used to judge the volume."""


class Monitoring(Declared):
    """Figures and logs of the cluster."""

    prometheus: Prometheus | None = None
    """Figures."""
    grafana: Grafana | None = None
    """Pictures of them."""
    logging: Logging | None = None
    """Logs."""
    alerting: Free = Field(default_factory=dict)
    """Settings of the alert manager, taken as they are."""


Serving.model_rebuild()
