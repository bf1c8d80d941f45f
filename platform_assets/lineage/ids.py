"""The names under which an id is written down, wherever it is written. One list, nothing else.

The same ids stand in Dagster metadata, object metadata, MLflow tags and Kubernetes annotations, so
that each place can accuse the others. The constants are the names in Dagster metadata and MLflow
tags; `object_metadata_name` and `annotation_name` give the spelling the other two allow.
"""

from typing import Final

PREFIX: Final = "ai-how."
ANNOTATION_PREFIX: Final = "ai-how.dev/"

TREE_DIGEST: Final = "ai-how.tree-digest"
CHECKPOINT: Final = "ai-how.checkpoint"
MODEL: Final = "ai-how.model"
VERSION: Final = "ai-how.version"
RUN: Final = "ai-how.run"
ENDPOINT: Final = "ai-how.endpoint"
FORMAT: Final = "ai-how.format"
MARKER_SHA256: Final = "ai-how.marker-sha256"
SEALED_AT: Final = "ai-how.sealed-at"
TRAINING_RUN: Final = "ai-how.training-run"
DAGSTER_RUN: Final = "ai-how.dagster-run"
SOURCE: Final = "ai-how.source"
FACT_SEQ: Final = "ai-how.fact-seq"
FACT_HASH: Final = "ai-how.fact-hash"

ALL: Final = (
    TREE_DIGEST,
    CHECKPOINT,
    MODEL,
    VERSION,
    RUN,
    ENDPOINT,
    FORMAT,
    MARKER_SHA256,
    SEALED_AT,
    TRAINING_RUN,
    DAGSTER_RUN,
    SOURCE,
    FACT_SEQ,
    FACT_HASH,
)


def object_metadata_name(name: str) -> str:
    """Return `name` as S3 user metadata allows it: lower case, without dots."""
    return name.replace(".", "-")


def annotation_name(name: str) -> str:
    """Return `name` as the key of a Kubernetes annotation."""
    return ANNOTATION_PREFIX + name.removeprefix(PREFIX)
