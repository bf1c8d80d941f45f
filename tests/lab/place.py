"""One lab's place on this machine: its number, and every name and address that follows from it.

Because all names follow from the number, whatever a lab left behind can be found without knowing
how far it came.
"""

from dataclasses import dataclass
from pathlib import Path

PREFIX = "ai-how-lab-"
LABS = Path("/run/ai-how-lab")
NETWORK_NAMESPACES = Path("/run/netns")
# Two addresses for each lab: this machine's end of the cable and the lab's.
MOST = 64


@dataclass(frozen=True)
class Place:
    """The names and addresses of the lab with this number."""

    number: int

    @property
    def name(self) -> str:
        """The network namespace, and the control group below every root."""
        return f"{PREFIX}{self.number}"

    @property
    def cable(self) -> str:
        """This machine's end of the pair of virtual network devices."""
        return self.name

    @property
    def host_address(self) -> str:
        """Where the lab reaches this machine."""
        return f"10.213.0.{4 * self.number + 1}"

    @property
    def address(self) -> str:
        """Where this machine and the pods reach the lab's servers; the node's address too."""
        return f"10.213.0.{4 * self.number + 2}"

    @property
    def cable_network(self) -> str:
        return f"10.213.0.{4 * self.number}/30"

    @property
    def pod_network(self) -> str:
        """The addresses of pods; this machine reaches them by a route through the lab."""
        return f"10.214.{self.number}.0/24"

    @property
    def run(self) -> Path:
        """What lives only while the lab does: its record, sockets, processes."""
        return LABS / str(self.number)

    @property
    def network_namespace(self) -> Path:
        return NETWORK_NAMESPACES / self.name
