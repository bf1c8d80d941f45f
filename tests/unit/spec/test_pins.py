"""Which versions an estate names, and where."""

from pathlib import Path

from platform_assets.spec.loading.load import load
from platform_assets.spec.pins import pins_of

TEMPLATES = Path(__file__).parents[3] / "config" / "templates"
CLOUD = ("clusters", "cloud")


def pins(text: str) -> dict[str, tuple[str, tuple[str | int, ...]]]:
    loaded = load(text.encode(), "x.yaml", {})
    assert loaded.estate is not None
    return {name: (pin.version, pin.path) for name, pin in pins_of(loaded.estate).items()}


def cloud(text: str) -> dict[str, tuple[str, tuple[str | int, ...]]]:
    return pins(f"metadata: {{name: x}}\nclusters: {{cloud: {{{text}}}}}")


def test_an_estate_without_kubernetes_names_none() -> None:
    assert pins("metadata: {name: x}") == {}
    assert cloud("") == {}


def test_every_component_is_found_where_it_stands() -> None:
    found = pins((TEMPLATES / "production-like.yaml").read_text())
    kubernetes, mlops = (*CLOUD, "kubernetes"), (*CLOUD, "mlops")
    monitoring = (*CLOUD, "monitoring")
    assert {name: path for name, (_, path) in found.items()} == {
        "kubespray": (*kubernetes, "kubespray"),
        "kubernetes": (*kubernetes, "version"),
        "containerd": (*kubernetes, "runtime_version"),
        "calico": (*kubernetes, "networking", "cni_version"),
        "cert_manager": (*kubernetes, "cert_manager", "version"),
        "gpu_operator": (*kubernetes, "gpu_operator", "version"),
        "os": ("images", "kubernetes", "operating_system"),
        "nvidia_driver": ("images", "kubernetes-gpu", "nvidia_driver"),
        "mlflow": (*mlops, "mlflow", "version"),
        "postgresql": (*mlops, "postgresql", "version"),
        "seaweedfs": (*mlops, "seaweedfs", "version"),
        "kserve": (*mlops, "serving", "kserve", "version"),
        "prometheus": (*monitoring, "prometheus", "version"),
        "grafana": (*monitoring, "grafana", "version"),
        "loki": (*monitoring, "logging", "version"),
    }
    assert found["os"][0] == "debian 13"
    assert found["seaweedfs"][0] == "4.48"


def test_what_is_switched_off_is_left_out() -> None:
    assert cloud("mlops: {minio: {enabled: false, version: 1}}") == {}
    assert cloud("kubernetes: {knative: {version: 1.11}}") == {}
    assert cloud("kubernetes: {gpu_operator: {enabled: false, driver_version: 535.129.03}}") == {}


def test_another_kind_is_not_taken_for_the_one_that_is_judged() -> None:
    assert cloud("kubernetes: {runtime: crio, runtime_version: 1.30}") == {}
    assert cloud("kubernetes: {networking: {cni: cilium, cni_version: 1.18}}") == {}
    assert cloud("kubernetes: {ingress: {provider: gateway-api, version: 1.4}}") == {}
    assert cloud("monitoring: {logging: {provider: elasticsearch, version: 8.11}}") == {}
    assert "ingress_nginx" in cloud("kubernetes: {ingress: {enabled: true, version: 1.11}}")


def test_the_system_of_the_cluster_comes_before_the_one_of_its_image() -> None:
    text = """\
metadata: {name: x}
images: {base: {path: /i.qcow2, operating_system: debian 12}}
clusters: {cloud: {image: base, kubernetes: {operating_system: debian 13}}}
"""
    path = (*CLOUD, "kubernetes", "operating_system")
    assert pins(text)["os"] == ("debian 13", path)
    assert pins(text.replace("operating_system: debian 13", ""))["os"][0] == "debian 12"


def test_the_driver_is_the_one_that_the_machines_get() -> None:
    path = (*CLOUD, "kubernetes", "gpu_operator")
    operator = "kubernetes: {gpu_operator: {driver_version: 535.129.03, driver: {%s}}}"
    assert cloud(operator % "enabled: false, version: 1")["nvidia_driver"] == (
        "535.129.03",
        (*path, "driver_version"),
    )
    assert cloud(operator % "enabled: true, version: 580.1")["nvidia_driver"] == (
        "580.1",
        (*path, "driver", "version"),
    )


def test_a_driver_that_the_operator_chooses_itself_names_no_version() -> None:
    operator = "kubernetes: {gpu_operator: {driver: {enabled: true}}}"
    assert "nvidia_driver" not in cloud(operator)
    named = "kubernetes: {gpu_operator: {driver: {enabled: true}, driver_version: 580.95.05}}"
    path = (*CLOUD, "kubernetes", "gpu_operator", "driver_version")
    assert cloud(named)["nvidia_driver"] == ("580.95.05", path)


def test_the_driver_that_the_operator_installs_counts_before_that_of_an_image() -> None:
    worker = "{name: g, worker_type: gpu, cpu_cores: 4, memory_gb: 8, disk_gb: 50, image: i}"
    text = (
        "metadata: {name: x}\nimages: {i: {path: i.qcow2, nvidia_driver: 570.1}}\n"
        f"clusters: {{cloud: {{workers: [{worker}], kubernetes: {{gpu_operator: {{%s}}}}}}}}"
    )
    assert pins(text % "")["nvidia_driver"] == ("570.1", ("images", "i", "nvidia_driver"))
    path = (*CLOUD, "kubernetes", "gpu_operator", "driver_version")
    assert pins(text % "driver_version: 580.95.05")["nvidia_driver"] == ("580.95.05", path)
