"""The applied estate: what was validated and written, and all that a process reads at its start.

`ai-how up` and `ai-how config apply` write it: one file, `estate.yaml` in the state directory. It
holds the declared estate in canonical form, addresses and names of files, never a secret.
"""

import hashlib
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import rfc8785
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from platform_assets.spec.errors import AiHowError

if TYPE_CHECKING:
    from platform_assets.spec.model.estate import Estate

FILE_NAME = "estate.yaml"


class NotApplied(AiHowError):
    """No estate was applied here, or its file cannot be read."""


class Addresses(BaseModel):
    """Where the parts of the platform answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    postgresql_socket_dir: Path
    postgresql_port: int
    s3_url: str
    mlflow_url: str
    model_server_url: str
    dagster_url: str


class AppliedEstate(BaseModel):
    """A validated estate with the addresses of its parts. Every path is absolute."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    declared: dict[str, Any]
    source: Path
    checkpoint_root: Path
    serving_file: Path
    state: Path
    addresses: Addresses

    @property
    def name(self) -> str:
        """The estate's name."""
        return str(self.declared["metadata"]["name"])

    @property
    def serves_on_kubernetes(self) -> bool:
        """Whether KServe on a cluster serves models, not the model server of this machine."""
        return (self.declared.get("placement") or {}).get("serving") == "kubernetes"

    @cached_property
    def estate(self) -> "Estate":
        """The declared estate. It is read when it is asked for: most processes need none of it."""
        from platform_assets.spec.model.estate import Estate

        return Estate.model_validate(self.declared)

    def part_digest(self, *paths: tuple[str, ...]) -> str:
        """Return 12 hex digits for what is declared at `paths`; at none: for everything.

        Order and layout of the file do not matter.
        """
        if not paths:
            return digest_of(self.declared)
        return digest_of([_at(self.declared, path) for path in paths])

    @property
    def secrets(self) -> Path:
        """The directory of files that hold secrets, each of mode 0600."""
        return self.state / "secrets"

    @property
    def served(self) -> Path:
        """The directory of fetched copies that the model server reads."""
        return self.state / "data" / "served"

    @property
    def model_repository(self) -> Path:
        """The model server's repository: one directory with settings per model."""
        return self.state / "data" / "model-repository"

    def database_url(self, role: str, database: str) -> str:
        """Return the SQLAlchemy URL for `role`; its password stays in libpq's password file."""
        host = quote(str(self.addresses.postgresql_socket_dir), safe="")
        passfile = quote(str(self.secrets / f"{role}.pgpass"), safe="")
        port = self.addresses.postgresql_port
        return (
            f"postgresql+psycopg2://{role}@/{database}?host={host}&port={port}&passfile={passfile}"
        )


def digest_of(declared: object) -> str:
    """Return the first 12 hex digits of the SHA-256 of the RFC 8785 form of plain data."""
    return hashlib.sha256(rfc8785.dumps(declared)).hexdigest()[:12]  # type: ignore[arg-type]


def _at(declared: object, path: tuple[str, ...]) -> object:
    for key in path:
        declared = declared.get(key) if isinstance(declared, dict) else None
    return declared


def state_dir() -> Path:
    """Return the state directory: AI_HOW_STATE, or `.ai-how` in the current directory."""
    return Path(os.environ.get("AI_HOW_STATE") or ".ai-how").absolute()


def write_applied(applied: AppliedEstate) -> None:
    """Write `estate.yaml` in one step, so that a reader sees the old file or the new one."""
    text = yaml.safe_dump(applied.model_dump(mode="json"), sort_keys=False)
    target = applied.state / FILE_NAME
    temporary = target.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(target)


def read_applied(state: Path) -> AppliedEstate:
    """Read the applied estate of `state`.

    Raises:
        NotApplied: there is none, or its file does not parse.
    """
    file = state / FILE_NAME
    try:
        return AppliedEstate.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        message = f"{file}: no estate was applied here; run `ai-how up` first"
        raise NotApplied(message) from error
    except (OSError, yaml.YAMLError, ValidationError) as error:
        message = f"{file}: cannot be read as an applied estate: {error}; run `ai-how up` again"
        raise NotApplied(message) from error
