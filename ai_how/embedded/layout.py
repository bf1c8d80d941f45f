"""Where everything of one platform lies: its state directory and its directory of sockets.

Nothing of the platform stands elsewhere. Sockets have a short path of their own, since that of a
unix socket ends after 107 bytes.
"""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from platform_assets.spec.errors import AiHowError

# Every process of the platform has this variable, with the state directory as its value.
MARK = "AI_HOW_SUPERVISED"
_SOCKETS_ROOT = Path("/tmp")  # noqa: S108 - a directory of mode 0700 or 0711, whose owner is checked
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class StateRefused(AiHowError):
    """A directory of the platform is not what it must be."""


@dataclass(frozen=True)
class Layout:
    """The files and directories of the platform whose state is in `state`."""

    state: Path

    @property
    def secrets(self) -> Path:
        """Files that hold secrets, each of mode 0600."""
        return self.state / "secrets"

    @property
    def seaweedfs_configuration(self) -> Path:
        """Where SeaweedFS stands: its keys and identities."""
        return self.secrets / "seaweedfs"

    @property
    def data(self) -> Path:
        """What the parts keep."""
        return self.state / "data"

    @property
    def postgresql(self) -> Path:
        """The directory of PostgreSQL's own user."""
        return self.data / "postgresql"

    @property
    def cluster(self) -> Path:
        """PostgreSQL's data directory."""
        return self.postgresql / "cluster"

    @property
    def seaweedfs(self) -> Path:
        """SeaweedFS' volumes and its filer's index."""
        return self.data / "seaweedfs"

    @property
    def sensors(self) -> Path:
        """What sensors remember between ticks."""
        return self.state / "sensors"

    @property
    def logs(self) -> Path:
        """One log for each part."""
        return self.state / "logs"

    @property
    def launches(self) -> Path:
        """What each part is started with."""
        return self.state / "launch"

    @property
    def dagster_home(self) -> Path:
        """DAGSTER_HOME."""
        return self.state / "dagster"

    @property
    def workspace(self) -> Path:
        """Dagster's workspace file."""
        return self.dagster_home / "workspace.yaml"

    @property
    def ports(self) -> Path:
        """The ports that were chosen."""
        return self.state / "ports.json"

    @property
    def lock(self) -> Path:
        """Held by whoever starts or stops the platform."""
        return self.state / "up.lock"

    @property
    def supervisor_configuration(self) -> Path:
        """Supervisord's configuration."""
        return self.state / "supervisord.conf"

    @property
    def sockets(self) -> Path:
        """The directory of sockets, and of what is gone with the processes."""
        digest = hashlib.sha256(str(self.state).encode()).hexdigest()[:12]
        return _SOCKETS_ROOT / f"ai-how-{os.getuid()}-{digest}"

    @property
    def supervisor_socket(self) -> Path:
        """Supervisord's own socket."""
        return self.sockets / "supervisor"

    @property
    def postgresql_sockets(self) -> Path:
        """The directory of PostgreSQL's socket."""
        return self.sockets / "postgresql"

    @property
    def code_server_socket(self) -> Path:
        """Where the code server answers."""
        return self.sockets / "code-server"

    @property
    def temporary(self) -> Path:
        """TMPDIR of every part."""
        return self.sockets / "tmp"

    def log(self, part: str) -> Path:
        """Return the log of a part."""
        return self.logs / f"{part}.log"

    def make(self) -> None:
        """Create the directories that are missing.

        Raises:
            StateRefused: one of them belongs to somebody else or is open to others.
        """
        for directory in (
            self.state,
            self.secrets,
            self.seaweedfs_configuration,
            self.data,
            self.postgresql,
            self.seaweedfs,
            self.data / "model-repository",
            self.data / "served",
            self.logs,
            self.launches,
            self.dagster_home,
        ):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for directory in (self.state, self.secrets, self.data):
            _must_be_ours(directory)
        self.make_sockets()

    def make_sockets(self) -> None:
        """Create the directories of sockets; /tmp is everybody's, so whose they are is checked."""
        self.sockets.mkdir(mode=0o700, exist_ok=True)
        _must_be_ours(self.sockets)
        for directory in (self.postgresql_sockets, self.temporary):
            directory.mkdir(mode=0o700, exist_ok=True)


def _must_be_ours(directory: Path) -> None:
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        message = (
            f"{directory}: expected a directory of user {os.getuid()}, found one of user "
            f"{found.st_uid} or none; remove it, or set AI_HOW_STATE to another place"
        )
        raise StateRefused(message)
    if found.st_mode & _OTHERS_WRITE:
        message = (
            f"{directory}: others may write to it (mode {stat.S_IMODE(found.st_mode):04o}); "
            f"`chmod go-w {directory}`"
        )
        raise StateRefused(message)
