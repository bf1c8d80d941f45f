"""IPv4 addresses, networks and ranges as the estate writes them; what may meet, rules say."""

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network

from platform_assets.spec.model.networks import DhcpRange, Network


@lru_cache(maxsize=8192)
def address_of(text: str | None) -> IPv4Address | None:
    """Return the address that a text is, or None where it is none."""
    if text is None:
        return None
    try:
        return IPv4Address(text)
    except ValueError:
        return None


@lru_cache(maxsize=256)
def network_of(text: str) -> IPv4Network | None:
    """Return the network that a text in CIDR form is, or None; bits of a host must be zero."""
    if "/" not in text:
        return None
    try:
        return IPv4Network(text)
    except ValueError:
        return None


@dataclass(frozen=True)
class AddressRange:
    """Addresses from the first to the last, both of which belong to it."""

    first: IPv4Address
    last: IPv4Address

    def __contains__(self, address: IPv4Address) -> bool:
        """Return whether an address lies in the range."""
        return self.first <= address <= self.last

    def __len__(self) -> int:
        """Return how many addresses the range holds."""
        return int(self.last) - int(self.first) + 1

    def overlaps(self, other: "AddressRange") -> bool:
        """Return whether the ranges share an address."""
        return self.first <= other.last and other.first <= self.last

    def lies_in(self, other: "AddressRange") -> bool:
        """Return whether every address of this range is one of the other's."""
        return other.first <= self.first and self.last <= other.last


def whole(network: IPv4Network) -> AddressRange:
    """Return all addresses of a network, those of the network and of its broadcast too."""
    return AddressRange(network.network_address, network.broadcast_address)


def range_of(text: str) -> AddressRange | None:
    """Return the range that `first-last` or a CIDR is; None where it is neither, or reversed."""
    network = network_of(text)
    if network is not None:
        return whole(network)
    begin, _, end = text.partition("-")
    return _from_first_to_last(begin.strip(), end.strip())


def dhcp_range_of(declared: DhcpRange | None) -> AddressRange | None:
    """Return the range that DHCP gives away; None where there is none, or it is malformed."""
    return None if declared is None else _from_first_to_last(declared.start, declared.end)


def _from_first_to_last(begin: str, end: str) -> AddressRange | None:
    first, last = address_of(begin), address_of(end)
    if first is None or last is None or first > last:
        return None
    return AddressRange(first, last)


def gateway_of(network: Network) -> IPv4Address | None:
    """Return the host's address on a network: as declared, else the subnet's first."""
    if network.gateway is not None:
        return address_of(network.gateway)
    subnet = network_of(network.subnet)
    return None if subnet is None or subnet.num_addresses < 4 else subnet[1]
