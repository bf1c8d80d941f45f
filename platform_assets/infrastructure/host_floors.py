"""Every floor that an estate of machines with GPUs stands on, judged against the host's facts.

Pure functions. The embedded platform asks for none of this: it needs a few GiB and no root. What
is judged here are the machines, networks and GPUs that an estate declares for libvirt.
"""

from collections.abc import Iterable

from platform_assets.infrastructure import passthrough_floors, size_floors, software_floors
from platform_assets.infrastructure.floor import Floor, Judgement, Rule, Verdict, finding, judged
from platform_assets.spec.findings import Finding
from platform_assets.spec.pci_names import PciNames
from resources.host import HostFacts, known

_HYPERVISORS = {"vboxdrv": "VirtualBox", "vmmon": "VMware"}


def _other_hypervisors(facts: HostFacts, _names: PciNames | None) -> Judgement:
    """Judge the drivers of others: the processor's virtualisation belongs to one at a time."""
    loaded = [module for module in known(facts.modules) if module in _HYPERVISORS]
    if not loaded:
        return Judgement(Verdict.HOLDS, "none")
    names = ", ".join(_HYPERVISORS[module] for module in loaded)
    remedy = f"run no guest of theirs beside KVM's, or sudo modprobe -r {' '.join(loaded)}"
    return Judgement(Verdict.WEAK, names, remedy)


def _dns_port(facts: HostFacts, _names: PciNames | None) -> Judgement:
    """Judge who listens: a network of libvirt starts a dnsmasq on port 53 of its own address."""
    listeners = known(facts.processes).dns_listeners
    if not listeners:
        return Judgement(Verdict.HOLDS, "free")
    each = ", ".join(f"{one.program or 'a hidden program'} ({one.protocol})" for one in listeners)
    remedy = "let it listen on addresses it names (dnsmasq: bind-dynamic; BIND: listen-on)"
    return Judgement(Verdict.FAILS, f"all addresses taken by {each}", remedy)


def _docker(facts: HostFacts, _names: PciNames | None) -> Judgement:
    """Judge Docker: it may set the policy of forwarding to DROP, which cuts guests off.

    https://github.com/moby/moby/issues/50566 tells when, and the option that keeps it from it.
    """
    if "dockerd" not in known(facts.processes).daemons:
        return Judgement(Verdict.HOLDS, "not running")
    remedy = '`"ip-forward-no-drop": true` in /etc/docker/daemon.json, or guests may be cut off'
    return Judgement(Verdict.WEAK, "running", remedy)


_CONFLICTS = (
    Rule("host-other-hypervisors", "Other hypervisors", "none loaded", _other_hypervisors),
    Rule("host-dns-port", "Port 53", "free for libvirt's networks", _dns_port),
    Rule("host-docker", "Docker", "not running", _docker),
)
RULES = (*size_floors.RULES, *software_floors.RULES, *passthrough_floors.RULES, *_CONFLICTS)


def floors(facts: HostFacts, names: PciNames | None = None) -> list[Floor]:
    """Judge every floor; without `names` GPUs go by their ids, and their age cannot be told."""
    return [judged(rule, facts, names) for rule in RULES]


def findings(judged_floors: Iterable[Floor]) -> list[Finding]:
    """Return a finding for each floor that does not hold: error, warning, or note if unknown."""
    return [found for floor in judged_floors if (found := finding(floor)) is not None]
