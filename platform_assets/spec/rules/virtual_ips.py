"""Rules about virtual addresses: the API server's, the ingress', and what announces them."""

from collections.abc import Iterator

from platform_assets.spec.addresses import address_of, dhcp_range_of, network_of, range_of
from platform_assets.spec.findings import Finding, Path, Severity
from platform_assets.spec.model.estate import Estate
from platform_assets.spec.model.services import Service
from platform_assets.spec.rules.grounds import Grounds, Rule

KUBERNETES: Path = ("clusters", "cloud", "kubernetes")
INGRESS_IP: Path = (*KUBERNETES, "ingress", "load_balancer_ip")
API_IP: Path = (*KUBERNETES, "virtual_ip")
LOAD_BALANCER: Path = (*KUBERNETES, "load_balancer")


def virtual_ip_without_load_balancer(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A virtual address is declared, and nothing that would announce it.

    Outside of a cloud provider nobody gives Kubernetes addresses: the service stays `<pending>`.
    """
    cloud = estate.clusters.cloud
    if cloud is None or cloud.kubernetes.load_balancer.provider != "none":
        return
    ingress, network = cloud.kubernetes.ingress, cloud.network
    subnet = f"of {network.subnet}" if network is not None else "of the machines' network"
    for path, text, what, provider in (
        (INGRESS_IP, ingress.load_balancer_ip, "the ingress", "metallb (or kube-vip)"),
        (API_IP, cloud.kubernetes.virtual_ip, "the API server", "kube-vip"),
    ):
        if text is not None:
            yield Finding(
                "virtual-ip-without-load-balancer",
                Severity.ERROR,
                path,
                f"{text} is to be the virtual address of {what}, but kubernetes.load_balancer "
                "declares no provider that announces it",
                f"set kubernetes.load_balancer.provider to {provider}, and addresses to a range "
                f"{subnet} that holds it"
                if path == INGRESS_IP
                else f"set kubernetes.load_balancer.provider to {provider}",
            )


def api_address_by_metallb(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """The API server's virtual address is left to MetalLB, which runs only once there is an API."""
    cloud = estate.clusters.cloud
    if cloud is None or cloud.kubernetes.virtual_ip is None:
        return
    if cloud.kubernetes.load_balancer.provider == "metallb":
        yield Finding(
            "api-address-by-metallb",
            Severity.WARNING,
            API_IP,
            f"MetalLB cannot announce {cloud.kubernetes.virtual_ip}: it runs on the cluster whose "
            "API server the address is for",
            "set kubernetes.load_balancer.provider to kube-vip, which announces both kinds",
        )


def ingress_ip_outside_range(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """The ingress wants an address that its load balancer does not have."""
    cloud = estate.clusters.cloud
    if cloud is None or cloud.kubernetes.load_balancer.provider == "none":
        return
    wanted = address_of(cloud.kubernetes.ingress.load_balancer_ip)
    text = cloud.kubernetes.load_balancer.addresses
    pool = range_of(text) if text else None
    if wanted is not None and pool is not None and wanted not in pool:
        yield Finding(
            "ingress-ip-outside-range",
            Severity.ERROR,
            INGRESS_IP,
            f"{wanted} is not one of {text}, the addresses that the load balancer gives",
            "take an address of that range, or widen kubernetes.load_balancer.addresses",
        )


def virtual_ip_off_network(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A virtual address is not of the machines' network, or is DHCP's to give.

    It is announced by ARP, so that only the machines' own network can reach it.
    """
    cloud = estate.clusters.cloud
    if cloud is None or cloud.network is None:
        return
    subnet, dhcp = network_of(cloud.network.subnet), dhcp_range_of(cloud.network.dhcp_range)
    for path, text in (
        (API_IP, cloud.kubernetes.virtual_ip),
        (INGRESS_IP, cloud.kubernetes.ingress.load_balancer_ip),
    ):
        address = address_of(text)
        if address is None or subnet is None:
            continue
        reserved = {subnet.network_address, subnet.broadcast_address}
        if address not in subnet:
            message = f"{address} lies outside {subnet}, the network of cloud"
        elif address in reserved or address == address_of(cloud.network.gateway):
            message = f"{address} is taken by the network itself"
        elif dhcp is not None and address in dhcp:
            message = f"{address} lies in the DHCP range {dhcp.first} to {dhcp.last}"
        else:
            continue
        remedy = f"take a free address of {subnet}, outside the DHCP range"
        yield Finding("virtual-ip-off-network", Severity.ERROR, path, message, remedy)


def load_balancer_without_addresses(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A load balancer is to serve services, and has no address to give.

    kube-vip needs none where it announces the API server alone.
    """
    cloud = estate.clusters.cloud
    if cloud is None:
        return
    balancer = cloud.kubernetes.load_balancer
    only_api = (
        balancer.provider == "kube-vip"
        and cloud.kubernetes.ingress.load_balancer_ip is None
        and not any(True for _ in _balanced(estate))
    )
    if balancer.provider != "none" and balancer.addresses is None and not only_api:
        yield Finding(
            "load-balancer-without-addresses",
            Severity.ERROR,
            LOAD_BALANCER,
            f"{balancer.provider} has no addresses to give, every service would stay pending",
            "add addresses, as in 192.168.200.100-192.168.200.120",
        )


def service_without_load_balancer(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A service is of type LoadBalancer, and there is none: it stays `<pending>` for ever."""
    cloud = estate.clusters.cloud
    if cloud is None or cloud.kubernetes.load_balancer.provider != "none":
        return
    for path in _balanced(estate):
        yield Finding(
            "service-without-load-balancer",
            Severity.ERROR,
            path,
            "type LoadBalancer, but kubernetes.load_balancer declares no provider",
            "set kubernetes.load_balancer.provider to metallb or kube-vip, "
            "or the type to ClusterIP or NodePort",
        )


def _balanced(estate: Estate) -> Iterator[Path]:
    cloud = estate.clusters.cloud
    if cloud is None:
        return
    mlops = cloud.mlops
    for name in ("mlflow", "minio", "seaweedfs", "postgresql"):
        declared = getattr(mlops, name)
        if declared is None or not declared.enabled:
            continue
        service: Service = declared.service
        if service.type == "LoadBalancer":
            yield ("clusters", "cloud", "mlops", name, "service", "type")


VIRTUAL_IP_RULES: tuple[Rule, ...] = (
    virtual_ip_without_load_balancer,
    api_address_by_metallb,
    ingress_ip_outside_range,
    virtual_ip_off_network,
    load_balancer_without_addresses,
    service_without_load_balancer,
)
