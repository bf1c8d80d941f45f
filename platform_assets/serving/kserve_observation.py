"""What a whole cluster serves, as the tables that a person reads beside the list of endpoints."""

from collections.abc import Iterable, Mapping

import dagster as dg

from platform_assets.serving.inference_services import Observation, ServedPod, differences

_SERVICES = ("namespace", "name", "made by", "ready", "tree digest", "differences")
_PODS = (
    *("namespace", "pod", "uid", "node", "endpoint", "predictor", "image digest"),
    *("tree digest", "ready", "since", "failure"),
)


def observation_tables(found: Observation) -> dict[str, dg.MetadataValue]:
    """Return a table of the InferenceServices, also of those of others, and one of their pods."""
    services = [
        (
            one.namespace,
            one.name,
            one.estate or "somebody else",
            str(one.ready).lower(),
            one.predictor.tree_digest or "",
            "; ".join(differences(one)) if one.ours else "",
        )
        for one in found.services
    ]
    pods = [pod for one in found.services for pod in one.pods] + list(found.strays)
    return {
        "inference_services": _table(_SERVICES, services),
        "pods": _table(_PODS, map(_row, pods)),
        "of_others": dg.MetadataValue.int(sum(not one.ours for one in found.services)),
        "strays": dg.MetadataValue.int(len(found.strays)),
    }


def _row(pod: ServedPod) -> tuple[str, ...]:
    return (
        *(pod.namespace, pod.name, pod.uid, pod.node, pod.service, pod.predictor),
        *(pod.image_digest or "", pod.tree_digest or "", str(pod.ready).lower()),
        *(pod.since or "", pod.failure),
    )


def _table(names: Iterable[str], rows: Iterable[Iterable[str]]) -> dg.TableMetadataValue:
    columns = list(names)
    records: list[dg.TableRecord] = []
    for row in rows:
        cells: Mapping[str, str] = dict(zip(columns, row, strict=True))
        records.append(dg.TableRecord(dict(cells)))
    schema = dg.TableSchema([dg.TableColumn(name, "string") for name in columns])
    return dg.MetadataValue.table(records, schema)
