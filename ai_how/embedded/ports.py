"""The loopback ports of the platform: chosen once, remembered in `ports.json`, asked for by name.

None is taken from the range in which the kernel chooses ports for outgoing connections: such a
port is free today and a client's tomorrow.
"""

import json
import random
from collections.abc import Iterable, Mapping
from pathlib import Path

from ai_how.embedded.layout import Layout
from platform_assets.spec.errors import AiHowError
from resources import seaweedfs
from resources.process import listener, port_is_free

_RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_USUAL_RANGE = (32_768, 60_999)
_LOWEST = 10_240
_HIGHEST = 65_535
SEAWEEDFS = {f"seaweedfs-{name}": name for name in seaweedfs.PORTS}
NAMES = (*SEAWEEDFS, "mlflow", "model-server", "webserver")


class PortTaken(AiHowError):
    """Somebody else listens where a part of the platform must."""


class PortsRefused(AiHowError):
    """The file of ports cannot be read, or there are none left to choose."""


def ephemeral_range() -> tuple[int, int]:
    """Return the first and the last port that the kernel gives to clients."""
    try:
        first, last = _RANGE_FILE.read_text(encoding="ascii").split()
    except OSError:
        return _USUAL_RANGE
    return int(first), int(last)


def _chosen(names: Iterable[str], taken: set[int]) -> dict[str, int]:
    first, last = ephemeral_range()
    candidates = [p for p in range(_LOWEST, _HIGHEST) if not first <= p <= last and p not in taken]
    random.SystemRandom().shuffle(candidates)
    ports = {}
    for name in names:
        while candidates:
            port = candidates.pop()
            if port_is_free(port):
                ports[name] = port
                break
        else:
            message = (
                f"no free port from {_LOWEST} on outside {first}-{last}, which the kernel uses for "
                f"clients ({_RANGE_FILE}); make that range smaller"
            )
            raise PortsRefused(message)
    return ports


def remembered_ports(layout: Layout) -> dict[str, int] | None:
    """Return the ports chosen earlier, or None when none were.

    Raises:
        PortsRefused: the file does not hold ports.
    """
    try:
        found = json.loads(layout.ports.read_text(encoding="utf-8"))
        return {str(name): int(port) for name, port in found.items()}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError, TypeError) as error:
        message = (
            f"{layout.ports}: expected names with a port each, found something else ({error}); "
            "`ai-how down`, remove the file and `ai-how up` chooses anew"
        )
        raise PortsRefused(message) from error


def known_ports(layout: Layout) -> dict[str, int]:
    """Return the port of every name, as they were chosen.

    Raises:
        PortsRefused: not all of them were.
    """
    ports = remembered_ports(layout) or {}
    if missing := [name for name in NAMES if name not in ports]:
        message = f"{layout.ports}: no port for {', '.join(missing)}; `ai-how up` chooses them"
        raise PortsRefused(message)
    return ports


def ensure_ports(layout: Layout) -> dict[str, int]:
    """Return the port of every name, choosing those that have none yet."""
    ports = remembered_ports(layout) or {}
    missing = [name for name in NAMES if name not in ports]
    if missing:
        ports |= _chosen(missing, set(ports.values()))
        temporary = layout.ports.with_suffix(".tmp")
        temporary.write_text(json.dumps(ports, indent=1) + "\n", encoding="utf-8")
        temporary.replace(layout.ports)
    return ports


def check_free(part: str, ports: Mapping[str, int], layout: Layout) -> None:
    """Check that nobody listens where `part` is about to.

    Raises:
        PortTaken: names the part, the port and who has it.
    """
    for name, port in ports.items():
        if not port_is_free(port):
            message = (
                f"{part}: port {port} ({name}) is taken by {listener(port)}; end it, or `ai-how "
                f"down`, remove {layout.ports} and `ai-how up` chooses other ports"
            )
            raise PortTaken(message)
