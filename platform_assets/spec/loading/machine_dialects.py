"""Machines in all their shapes into plain lists of machines, each with a name.

A machine that names itself keeps its name. Others are called after their kind and their number
among their kind: `controller`, `compute-1`, `control-plane-1`, `cpu-worker-1`, `gpu-worker-1`.
"""

import re
from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address

from platform_assets.spec.findings import Path, Severity
from platform_assets.spec.loading.dialect import Dialect, move
from platform_assets.spec.loading.reading import Reading
from platform_assets.spec.loading.source import MAX_NODES
from platform_assets.spec.loading.tree import Node
from platform_assets.spec.model.base import Declared
from platform_assets.spec.model.machines import Machine

MAX_COUNT = 1000

_GROUPS = {"cpu": "cpu", "cpu_workers": "cpu", "gpu": "gpu", "gpu_workers": "gpu"}
_RANGE = re.compile(r"\s*(?P<first>[0-9.]+)\s*(?:(?:-|–|\.\.)\s*(?P<last>[0-9.]+)\s*)?")  # noqa: RUF001


def machines(group: Node | None, path: Path, reading: Reading) -> list[Node]:
    """Return the machines of a list, of one mapping, or of `{count, ip_range, …}`."""
    if group is None or group.gone or group.value is None:
        return []
    if group.is_list:
        return group.items
    if not group.is_mapping:
        reading.tell(
            group,
            "wrong-type",
            path,
            f"{path[-1]}: expected machines, found {group.text!r}",
            "list the machines, or give `count` and `ip_range`",
        )
        return []
    if "count" in group.keys or "ip_range" in group.keys:
        return _counted(group, path, reading)
    return [group] if group.keys else []


def workers(group: Node | None, path: Path, reading: Reading) -> list[Node]:
    """Return the workers of a list, or of groups of CPU and GPU workers in any shape."""
    if group is None or not (set(group.keys) & set(_GROUPS)):
        return machines(group, path, reading)
    found = []
    for key, child in group.keys.items():
        if key not in _GROUPS:
            reading.tell(
                child,
                "unknown-key",
                (*path, key),
                f"{key}: unknown beside groups of workers",
                f"known here: {', '.join(_GROUPS)}",
            )
            continue
        for machine in machines(child, (*path, key), reading):
            if machine.is_mapping:
                given = machine.keys.get("worker_type")
                if given is None or given.value is None:
                    machine.keys["worker_type"] = machine.beside(_GROUPS[key])
            found.append(machine)
    return found


def name_all(nodes: list[Node], kind: Callable[[Node], str]) -> None:
    """Give every machine without a name one of its kind and number that nobody else has."""
    taken = {name for node in nodes if (name := _given_name(node)) is not None}
    numbers: dict[str, int] = {}
    for node in nodes:
        if not node.is_mapping:
            continue
        called = kind(node)
        number = numbers[called] = numbers.get(called, 0) + 1
        if _given_name(node) is not None:
            continue
        while f"{called}-{number}" in taken:
            number += 1
        taken.add(f"{called}-{number}")
        node.keys["name"] = node.beside(f"{called}-{number}")


def _given_name(node: Node) -> str | None:
    for key in ("name", "hostname"):
        given = node.keys.get(key)
        if given is not None and given.value is not None:
            return given.text or ""
    return None


def worker_kind(node: Node) -> str:
    """Return `gpu-worker` for a worker that declares GPUs in any way, else `cpu-worker`."""
    if _says(node, "worker_type", "gpu") or _says(node, "gpu_enabled", "true"):
        return "gpu-worker"
    devices = [node.keys[key] for key in ("pcie_passthrough", "gpu") if key in node.keys]
    in_use = [held for held in devices if held.keys and not _says(held, "enabled", "false")]
    return "gpu-worker" if in_use else "cpu-worker"


def _says(node: Node, key: str, text: str) -> bool:
    child = node.keys.get(key)
    return child is not None and (child.text or "").lower() == text


def _counted(group: Node, path: Path, reading: Reading) -> list[Node]:
    """Return the machines of `{count, ip_range, …}`; the other keys are each machine's."""
    count_node, range_node = group.keys.pop("count", None), group.keys.pop("ip_range", None)
    addresses = _addresses(range_node, (*path, "ip_range"), reading)
    count = _count(count_node, (*path, "count"), reading)
    if count is None:
        count = len(addresses or ()) or 1
    if range_node is not None and addresses is not None and len(addresses) < count:
        reading.tell(
            range_node,
            "range-too-short",
            (*path, "ip_range"),
            f"ip_range: expected {count} addresses, one for each machine, found {len(addresses)}",
            "widen the range, or lower `count`; the others get no fixed address",
        )
    if count * group.size() > MAX_NODES:
        message = f"count: {count:,} such machines are more than {MAX_NODES:,} values"
        reading.tell(group, "too-many-values", path, message, "lower `count`")
        return []
    prefix = _given_name(group)
    made = []
    for index in range(count):
        machine = group.copy()
        if prefix is not None:
            machine.keys.pop("hostname", None)
            machine.keys["name"] = group.beside(prefix if count == 1 else f"{prefix}-{index + 1}")
        if range_node is not None and addresses and index < len(addresses):
            machine.keys["ip"] = range_node.beside(addresses[index])
        made.append(machine)
    return made


def _count(node: Node | None, path: Path, reading: Reading) -> int | None:
    text = reading.text(node, path)
    if node is None or node.gone or node.value is None:
        return None
    if text is None or not re.fullmatch(r"\s*[0-9]{1,18}\s*", text):
        found = f"'{text}'" if text is not None and node.written is None else "something else"
        message = f"count: expected a whole number, found {found}"
        reading.tell(node, "wrong-type", path, message, "write it in digits")
        return None
    if int(text) > MAX_COUNT:
        message = f"count: expected at most {MAX_COUNT:,}, found {int(text):,}"
        reading.tell(node, "out-of-bounds", path, message, "mend it")
        return 0
    return int(text)


def _addresses(node: Node | None, path: Path, reading: Reading) -> list[str] | None:
    """Return the addresses of a range; None if there is no range, or it is malformed."""
    if node is None or node.value is None:
        return None
    if node.is_list:
        texts = [reading.text(item, (*path, index)) for index, item in enumerate(node.items)]
        return [text for text in texts if text is not None]
    text = reading.text(node, path)
    if text is None and node.gone:
        return None
    match = _RANGE.fullmatch(text or "")
    try:
        first = IPv4Address(match["first"] if match else "")
        last = first
        if match and match["last"]:
            end = match["last"]
            head = str(first).rpartition(".")[0]
            last = IPv4Address(end if "." in end else f"{head}.{end}")
        if last < first:
            message = "ip_range: the last address comes before the first"
            reading.tell(node, "range-malformed", path, message, "exchange them")
            return None
    except AddressValueError:
        reading.tell(
            node,
            "range-malformed",
            path,
            "ip_range: expected IPv4 addresses as in 192.168.100.11-14",
            "write first and last address with `-` between them, or a list of addresses",
        )
        return None
    size = min(int(last) - int(first) + 1, MAX_COUNT)
    return [str(first + index) for index in range(size)]


def _machine(node: Node, path: Path, reading: Reading) -> None:
    """Both `name` and `hostname` may be given; the name counts."""
    given = node.keys.get("name")
    if given is None or given.value is None:
        move(node, "hostname", (node, "name"), path, reading)
    else:
        hostname = node.keys.pop("hostname", None)
        if hostname is not None and hostname.value not in (None, given.value):
            reading.tell(
                hostname,
                "two-spellings",
                (*path, "hostname"),
                "hostname: not used, for the machine has a name, and they differ",
                "keep one of them",
                severity=Severity.WARNING,
            )


MACHINE_DIALECTS: dict[type[Declared], Dialect] = {
    Machine: Dialect(
        spellings={"ip_address": "ip", "base_image_path": "image", "image_path": "image"},
        elsewhere=frozenset({"hostname"}),
        read=_machine,
    ),
}
