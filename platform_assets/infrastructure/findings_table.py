"""Findings as Dagster shows them."""

from collections.abc import Sequence

import dagster as dg

from platform_assets.spec.findings import Finding, Severity, dotted


def findings_table(findings: Sequence[Finding]) -> dg.TableMetadataValue:
    """Return findings as a table, the worst first."""
    order = list(Severity)
    return dg.MetadataValue.table(
        [
            dg.TableRecord(
                {
                    "severity": finding.severity.value,
                    "line": finding.line or 0,
                    "what": dotted(finding.path),
                    "message": finding.message,
                    "remedy": finding.remedy,
                    "rule": finding.rule,
                }
            )
            for finding in sorted(findings, key=lambda one: (order.index(one.severity), one.path))
        ],
        schema=dg.TableSchema(
            [
                dg.TableColumn("severity", "string"),
                dg.TableColumn("line", "int"),
                *(dg.TableColumn(name) for name in ("what", "message", "remedy", "rule")),
            ]
        ),
    )
