"""Estates with GPUs for the tests of rules, built from a few words, and what is known beside."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from platform_assets.spec.findings import Finding, dotted
from platform_assets.spec.model.estate import Estate
from platform_assets.spec.pci_names import PciNames
from platform_assets.spec.rules.grounds import Grounds, HostDevice, Rule

PCI_IDS = """\
10de  NVIDIA Corporation
\t1eb8  TU104GL [Tesla T4]
\t1e36  TU102GL [Quadro RTX 6000]
\t10f7  TU102 High Definition Audio Controller
\t1aef  GA102 High Definition Audio Controller
\t2204  GA102 [GeForce RTX 3090]
\t2230  GA102GL [RTX A6000]
\t2684  AD102 [GeForce RTX 4090]
\t22ba  AD102 High Definition Audio Controller
\t22bd  AD106M High Definition Audio Controller
\t20b0  GA100 [A100 SXM4 40GB]
\t20b5  GA100 [A100 PCIe 80GB]
8086  Intel Corporation
\t1533  I210 Gigabit Network Connection
"""
NAMES = PciNames.parse(PCI_IDS)


def grounds(**known: Any) -> Grounds:
    return Grounds(**{"today": date(2026, 11, 21), "pci_names": NAMES} | known)


def function(address: str, kind: str = "gpu", ids: str = "", **more: Any) -> dict[str, Any]:
    """One PCI function that is passed through; `ids` as in 10de:2204."""
    vendor, _, device = ids.partition(":")
    found: dict[str, Any] = {"pci_address": address, "device_type": kind}
    if ids:
        found |= {"vendor_id": vendor, "device_id": device}
    return found | more


def on_host(address: str, ids: str, group: int | None = None, **more: Any) -> HostDevice:
    vendor, _, device = ids.partition(":")
    return HostDevice(address, vendor, device, more.pop("is_gpu", False), group, **more)


def machine(name: str, *functions: dict[str, Any], **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "cpu_cores": 4, "memory_gb": 8, "disk_gb": 100}
    if functions:
        found["pcie_passthrough"] = {"enabled": True, "devices": list(functions)}
    return found | more


def estate(
    workers: Iterable[dict[str, Any]] = (),
    compute: Iterable[dict[str, Any]] = (),
    cloud: dict[str, Any] | None = None,
    **more: Any,
) -> Estate:
    clusters: dict[str, Any] = {}
    if workers or cloud is not None:
        clusters["cloud"] = {"workers": list(workers)} | (cloud or {})
    if compute:
        clusters["hpc"] = {"compute_nodes": list(compute)}
    return Estate.model_validate({"metadata": {"name": "lab"}, "clusters": clusters} | more)


def said(rule: Rule, declared: Estate, **known: Any) -> list[tuple[str, str, str, str, str]]:
    """Everything that a rule says: severity, id, path, message, remedy."""
    return [told(finding) for finding in rule(declared, grounds(**known))]


def told(finding: Finding) -> tuple[str, str, str, str, str]:
    return (
        str(finding.severity),
        finding.rule,
        dotted(finding.path),
        finding.message,
        finding.remedy,
    )
