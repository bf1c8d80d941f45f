"""The platform's secrets: made once at random, each in a file of mode 0600 under `secrets/`."""

import configparser
import io
import json
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from ai_how.embedded.layout import Layout
from platform_assets.spec.errors import AiHowError
from resources.postgresql import SUPERUSER, passfile_line
from resources.seaweedfs import Identity

ROLES = (SUPERUSER, "dagster", "mlflow", "ledger_owner", "ledger_writer")
# What each identity may do, in SeaweedFS' words.
S3_ACTIONS = {
    "admin": ["Admin", "Read", "Write", "List", "Tagging"],
    "publisher": [
        "Read:models/models/*",
        "Write:models/models/*",
        "Tagging:models/models/*",
        "List:models",
    ],
    "reader": ["Read:models/*", "List:models"],
    "mlflow": ["Read:mlflow", "Write:mlflow", "Tagging:mlflow", "List:mlflow"],
}
MLFLOW_USER = "ai-how"
MLFLOW_FILE = "mlflow-credentials.ini"
_PRIVATE = 0o600


class SecretRefused(AiHowError):
    """A file of secrets is damaged, or others may read it."""


@dataclass(frozen=True)
class Secrets:
    """What `up` itself needs to know in the clear; it does not show when printed."""

    passwords: dict[str, str]
    identities: tuple[Identity, ...]

    def __repr__(self) -> str:
        """Keep the secrets out of logs and tracebacks."""
        return "Secrets(...)"


def write_secret(file: Path, content: str) -> None:
    """Write `file` in one step, for nobody else to read; its directory must be there."""
    temporary = file.with_name(file.name + ".tmp")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    temporary.replace(file)


def _ensure_file(file: Path, content: str) -> str:
    """Return what the file holds, which is `content` if there was none."""
    if not file.exists():
        write_secret(file, content)
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & ~_PRIVATE:
        message = f"{file}: expected mode 0600, found {mode:04o}; `chmod 600 {file}`"
        raise SecretRefused(message)
    return file.read_text(encoding="utf-8")


def _mlflow_login() -> str:
    parser = configparser.ConfigParser()
    parser["mlflow"] = {
        "mlflow_tracking_username": MLFLOW_USER,
        "mlflow_tracking_password": secrets.token_hex(24),
    }
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()


def ensure_secrets(layout: Layout) -> Secrets:
    """Make the secrets that are missing and return those that `up` needs.

    Raises:
        SecretRefused: a file is damaged or open to others.
    """
    passwords = {}
    for role in ROLES:
        file = layout.secrets / f"{role}.pgpass"
        line = _ensure_file(file, passfile_line(role, secrets.token_hex(24)))
        passwords[role] = line.strip().rpartition(":")[2]
        if line != passfile_line(role, passwords[role]) or not passwords[role]:
            message = (
                f"{file}: expected one line *:*:*:{role}:PASSWORD, found another; remove the file "
                "and `ai-how up` makes a new one"
            )
            raise SecretRefused(message)
    identities = []
    for name, actions in S3_ACTIONS.items():
        file = layout.secrets / f"s3-{name}.json"
        new = {"access_key": secrets.token_hex(10), "secret_key": secrets.token_hex(24)}
        text = _ensure_file(file, json.dumps(new) + "\n")
        try:
            found = json.loads(text)
            identities.append(Identity(name, found["access_key"], found["secret_key"], actions))
        except (ValueError, KeyError, TypeError):
            message = (
                f"{file}: expected access_key and secret_key, found no such JSON; remove the file "
                "and `ai-how up` makes a new one"
            )
            raise SecretRefused(message) from None
    _ensure_file(layout.secrets / MLFLOW_FILE, _mlflow_login())
    return Secrets(passwords, tuple(identities))
