"""Networks of machines, and how people and programs reach the machines on them."""

from typing import Literal

from pydantic import Field

from platform_assets.spec.model.base import Declared, Port


class DhcpRange(Declared):
    """Addresses that DHCP gives away."""

    start: str
    """First address."""
    end: str
    """Last address."""


class Network(Declared):
    """A libvirt network. Addresses are judged by rules, which see all networks at once."""

    name: str | None = None
    """Name of the libvirt network; absent: made from the cluster's."""
    subnet: str
    """IPv4 network in CIDR form, as in 192.168.100.0/24."""
    bridge: str | None = None
    """Name of the bridge on the host, at most 15 characters."""
    gateway: str | None = None
    """Address of the host on the network; absent: the first address of the subnet."""
    mode: Literal["nat", "isolated", "routed"] = "nat"
    """How the network is connected to the outside."""
    dns_servers: tuple[str, ...] = ()
    """Name servers that machines ask."""
    dhcp_range: DhcpRange | None = None
    """Addresses that DHCP gives away; absent: none."""


class Ssh(Declared):
    """How machines are reached by SSH."""

    user: str = "admin"
    """Login name."""
    port: Port = 22
    """Port of the SSH server."""
    private_key_path: str | None = None
    """Private key, on this host."""
    public_key_path: str | None = None
    """Public key that is put into machines."""
    password_authentication: bool = Field(default=False)
    """Whether passwords are taken; keys are always."""
