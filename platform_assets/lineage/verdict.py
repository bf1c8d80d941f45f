"""What verifying the places of a model's bytes found, and what it means: plain values, no reading.

A *hop* is a place that holds the bytes, or says which they are. Each hop is held against the tree
digest that the ledger recorded for the endpoint. A difference names hop and file, what was expected
and what was found; what could not be looked at is a reason, never a difference. The JSON form of a
whole verification is `endpoint-verification/1`.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from platform_assets.lineage.manifest import FileEntry, Manifest

SCHEMA: Final = "endpoint-verification/1"


class Hop(StrEnum):
    """A place, in the order in which the bytes went."""

    CHECKPOINT = "checkpoint root"
    COPY = "object store"
    VERSION = "registry"
    FETCHED = "fetched copy"
    SERVER = "model server"


class Verdict(StrEnum):
    """What is known of one hop, or of all of them together."""

    AGREE = "agree"
    DIFFER = "differ"
    CANNOT_TELL = "cannot tell"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Difference(_Part):
    """One thing that is not as the ledger recorded it."""

    hop: Hop
    file: str = Field(description="a file by its path in the model, or the name of a tag or alias")
    expected: str
    found: str

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.hop}: {self.file}: expected {self.expected}, found {self.found}"


class HopResult(_Part):
    """What one hop turned out to hold."""

    hop: Hop
    where: str
    files: int = Field(default=0, description="files whose bytes are known to be right")
    bytes: int = Field(default=0, description="the bytes of these files")
    read_bytes: int = Field(default=0, description="bytes that were read for it just now")
    oldest_read: str | None = Field(
        default=None, description="when the file that was read longest ago was read; null: now"
    )
    differences: tuple[Difference, ...] = ()
    unknown: str | None = Field(default=None, description="why something could not be looked at")

    @property
    def verdict(self) -> Verdict:
        """A difference outweighs what could not be looked at."""
        if self.differences:
            return Verdict.DIFFER
        return Verdict.AGREE if self.unknown is None else Verdict.CANNOT_TELL


class Verification(_Part):
    """All hops behind one endpoint, held against its deployment in the ledger."""

    schema_: Literal["endpoint-verification/1"] = Field(default=SCHEMA, alias="schema")
    endpoint: str
    model: str | None
    version: str | None
    tree_digest: str | None
    checkpoint: str | None
    verified_at: str
    verdict: Verdict
    hops: tuple[HopResult, ...]
    unknown: str | None = Field(default=None, description="why there is nothing to hold against")

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Every difference, the first hop's first."""
        return tuple(difference for hop in self.hops for difference in hop.differences)


def joint_verdict(results: Iterable[HopResult]) -> Verdict:
    """Return what hops say together: one that differs decides, then one that cannot be told."""
    found = {result.verdict for result in results}
    if Verdict.DIFFER in found:
        return Verdict.DIFFER
    return Verdict.AGREE if found == {Verdict.AGREE} else Verdict.CANNOT_TELL


def missing_and_extra(
    hop: Hop, expected: Manifest, present: Iterable[str]
) -> tuple[Difference, ...]:
    """Return a difference for each file that is absent, and for each that should not be there."""
    named = {entry.path: entry for entry in expected.files}
    found = set(present)
    missing = [
        Difference(hop=hop, file=path, expected=f"{named[path].size} bytes", found="no such file")
        for path in named.keys() - found
    ]
    extra = [
        Difference(hop=hop, file=path, expected="no such file", found="a file")
        for path in found - named.keys()
    ]
    return tuple(sorted(missing + extra, key=lambda difference: difference.file.encode()))


def content_difference(hop: Hop, expected: FileEntry, found: FileEntry) -> Difference | None:
    """Return the difference between what a file should hold and what was read from it."""
    if found.size != expected.size:
        sizes = f"{expected.size} bytes", f"{found.size} bytes"
        return Difference(hop=hop, file=expected.path, expected=sizes[0], found=sizes[1])
    if found.sha256 == expected.sha256:
        return None
    return Difference(
        hop=hop,
        file=expected.path,
        expected=f"SHA-256 {expected.sha256}",
        found=f"SHA-256 {found.sha256}",
    )


def value_differences(
    hop: Hop, expected: Mapping[str, str | None], found: Mapping[str, str | None]
) -> tuple[Difference, ...]:
    """Compare named values; None stands for a value that is not there."""
    return tuple(
        Difference(
            hop=hop,
            file=name,
            expected="none" if value is None else value,
            found="none" if found.get(name) is None else str(found[name]),
        )
        for name, value in expected.items()
        if found.get(name) != value
    )


def verification_schema() -> dict[str, Any]:
    """Return the JSON schema that is published as `docs/schemas/endpoint-verification-1.json`."""
    schema = Verification.model_json_schema(by_alias=True, mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
