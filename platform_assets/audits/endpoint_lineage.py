"""Where an endpoint's bytes come from: endpoint → version → copy → checkpoint → training run.

Asked of the ledger alone, so it answers what was *recorded*; what a server serves at this moment is
observed elsewhere. Each hop is found from the one before it by the id recorded there, and shows the
tree digest that its own fact recorded. The answer's JSON form is `endpoint-lineage/1`.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from platform_assets.lineage import facts
from platform_assets.lineage.canonical import timestamp
from platform_assets.lineage.deployments import deployed, withdrawn
from platform_assets.lineage.ledger import Fact, Ledger, LedgerReader
from platform_assets.spec.names import checked_name

SCHEMA: Final = "endpoint-lineage/1"


class Agreement(StrEnum):
    """What the recorded digests say together."""

    AGREE = "agree"
    DISAGREE = "disagree"
    INCOMPLETE = "incomplete"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Evidence(_Part):
    """The fact that a hop rests on."""

    seq: int
    hash: str
    valid_from: str
    recorded_at: str


class Hop(_Part):
    """One thing in the chain, with the digest that its fact recorded."""

    tree_digest: str
    agrees: bool = Field(description="whether the digest is the one recorded for the endpoint")
    fact: Evidence


HopT = TypeVar("HopT", bound=Hop)


class EndpointHop(Hop):
    """What was put behind the endpoint."""

    endpoint: str
    model: str
    version: str
    checkpoint: str
    server: str
    dagster_run: str | None


class VersionHop(Hop):
    """The registered version."""

    model: str
    version: str
    source: str
    checkpoint: str
    training_run: str | None
    dagster_run: str | None


class CopyHop(Hop):
    """The committed copy in the object store."""

    model: str
    bucket: str
    prefix: str
    files: int
    bytes: int
    dagster_run: str | None


class CheckpointHop(Hop):
    """The sealed directory that the copy was made from."""

    key: str
    model: str
    run: str
    path: str
    format: str
    marker_sha256: str
    sealed_at: str
    files: int
    bytes: int


class TrainingHop(_Part):
    """What the checkpoint's marker says about the training. It records no digest of its own."""

    run: str
    mlflow_run_id: str | None
    provenance: dict[str, Any]
    fact: Evidence


class EndpointLineage(_Part):
    """The chain, in the order of the hops; a hop that was never recorded is null and missing."""

    schema_: Literal["endpoint-lineage/1"] = Field(default=SCHEMA, alias="schema")
    name: str
    at: str | None = Field(description="the moment asked about; null: now")
    agreement: Agreement
    endpoint: EndpointHop | None
    version: VersionHop | None
    copy_: CopyHop | None = Field(alias="copy")
    checkpoint: CheckpointHop | None
    training: TrainingHop | None
    missing: tuple[str, ...]
    findings: tuple[str, ...]


def endpoint_lineage(ledger: Ledger, endpoint: str, at: datetime | None = None) -> EndpointLineage:
    """Return the chain behind what `endpoint` serves, or served at `at`, as it was recorded.

    Raises:
        NameRefused: `endpoint` is no name of an endpoint.
    """
    checked_name("endpoint", endpoint)
    with ledger.reader() as reader:
        open_one = deployed(reader, endpoint, at)
        if open_one is None:
            missing = _nothing_served(reader, endpoint, at)
            return _answer(endpoint, at, (None, None, None, None), (missing,))
        hops = _hops(reader, open_one.fact, at)
    return _answer(endpoint, at, hops, _missing(open_one.fact, hops))


def _nothing_served(reader: LedgerReader, endpoint: str, at: datetime | None) -> str:
    ended = withdrawn(reader, endpoint, at)
    if ended is None:
        return f"deployment: no fact says that endpoint {endpoint!r} serves anything"
    return (
        f"deployment: endpoint {endpoint!r} serves nothing since {ended.valid_from}: "
        f"{ended.body['by']} deleted it (fact {ended.seq})"
    )


Hops = tuple[Fact | None, Fact | None, Fact | None, Fact | None]


def _hops(reader: LedgerReader, deployed: Fact, at: datetime | None) -> Hops:
    said = deployed.body
    version = reader.latest(facts.VERSION, f"{said['model']}/{said['version']}", at)
    # The copy is the one that the version names, so that a wrong version shows.
    digest = said["tree_digest"] if version is None else version.body["tree_digest"]
    copies = [
        fact for fact in reader.facts(facts.COPY, digest, at) if fact.body["model"] == said["model"]
    ]
    checkpoint = reader.latest(facts.CHECKPOINT, said["checkpoint"], at)
    return deployed, version, copies[-1] if copies else None, checkpoint


def _missing(deployed: Fact, hops: Hops) -> tuple[str, ...]:
    said = deployed.body
    _, version, copy, checkpoint = hops
    digest = said["tree_digest"] if version is None else version.body["tree_digest"]
    missing = []
    if version is None:
        missing.append(f"version: no fact about version {said['version']} of {said['model']!r}")
    if copy is None:
        missing.append(f"copy: no fact about a copy of {said['model']!r} with digest {digest}")
    if checkpoint is None:
        missing.append(f"checkpoint: no fact about checkpoint {said['checkpoint']!r}")
    if checkpoint is None or not checkpoint.body["training"]:
        missing.append("training: nothing was recorded about how it was trained")
    return tuple(missing)


def _answer(
    endpoint: str, at: datetime | None, hops: Hops, missing: tuple[str, ...]
) -> EndpointLineage:
    deployed, version, copy, checkpoint = hops
    findings = _findings(hops)
    agreement = Agreement.AGREE
    if findings:
        agreement = Agreement.DISAGREE
    elif missing:
        agreement = Agreement.INCOMPLETE
    digest = "" if deployed is None else str(deployed.body["tree_digest"])
    return EndpointLineage(
        schema=SCHEMA,
        name=endpoint,
        at=None if at is None else timestamp(at),
        agreement=agreement,
        endpoint=None if deployed is None else _hop(EndpointHop, deployed, digest),
        version=None if version is None else _hop(VersionHop, version, digest),
        copy=None if copy is None else _hop(CopyHop, copy, digest),
        checkpoint=None
        if checkpoint is None
        else _hop(CheckpointHop, checkpoint, digest, key=checkpoint.subject),
        training=None if checkpoint is None else _training(checkpoint),
        missing=missing,
        findings=findings,
    )


def _findings(hops: Hops) -> tuple[str, ...]:
    deployed, version, copy, checkpoint = hops
    if deployed is None:
        return ()
    expected = deployed.body["tree_digest"]
    findings = [
        f"{name} (fact {fact.seq}): tree digest {fact.body['tree_digest']}, expected {expected} "
        f"as recorded for the endpoint (fact {deployed.seq})"
        for name, fact in (("version", version), ("copy", copy), ("checkpoint", checkpoint))
        if fact is not None and fact.body["tree_digest"] != expected
    ]
    if copy is not None and copy.body["tree_digest"] not in copy.body["prefix"]:
        findings.append(
            f"copy (fact {copy.seq}): prefix {copy.body['prefix']} does not name its tree digest "
            f"{copy.body['tree_digest']}"
        )
    if version is not None and checkpoint is not None:
        findings.extend(_training_findings(version, checkpoint))
    return tuple(findings)


def _training_findings(version: Fact, checkpoint: Fact) -> list[str]:
    """Compare the training runs, where version and endpoint name the same checkpoint."""
    registered = version.body.get("training_run")
    sealed = checkpoint.body["training"].get("mlflow_run_id")
    if version.body["checkpoint"] != checkpoint.subject or None in (registered, sealed):
        return []
    finding = (
        f"version (fact {version.seq}): training run {registered}, but its checkpoint "
        f"(fact {checkpoint.seq}) names {sealed}"
    )
    return [] if registered == sealed else [finding]


def _hop(model: type[HopT], fact: Fact, digest: str, **more: str) -> HopT:
    fields: dict[str, Any] = {
        name: fact.body.get(name) for name in model.model_fields if name in fact.body
    }
    for name in ("dagster_run", "training_run"):
        if name in model.model_fields:
            fields.setdefault(name, None)
    agrees = fact.body["tree_digest"] == digest
    return model(**fields, **more, agrees=agrees, fact=_evidence(fact))


def _training(checkpoint: Fact) -> TrainingHop | None:
    training = checkpoint.body["training"]
    if not training:
        return None
    return TrainingHop(
        run=checkpoint.body["run"],
        mlflow_run_id=training.get("mlflow_run_id"),
        provenance=training,
        fact=_evidence(checkpoint),
    )


def _evidence(fact: Fact) -> Evidence:
    return Evidence(
        seq=fact.seq, hash=fact.hash, valid_from=fact.valid_from, recorded_at=fact.recorded_at
    )


def endpoint_lineage_schema() -> dict[str, Any]:
    """Return the JSON schema that is published as `docs/schemas/endpoint-lineage-1.json`."""
    schema = EndpointLineage.model_json_schema(by_alias=True, mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
