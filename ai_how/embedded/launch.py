"""How a part is started: `python -m ai_how.embedded.launch FILE` becomes the part that FILE names.

Environment, working directory and user are set here and not in supervisord's configuration, whose
quoting knows no path with a quote in it. Only the standard library is imported.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Launch:
    """What a part is started with. `before` are commands that must end well first."""

    command: Sequence[str]
    directory: str
    environment: Mapping[str, str] = field(default_factory=dict)
    before: Sequence[Sequence[str]] = ()
    uid: int | None = None
    gid: int | None = None

    def to_json(self) -> str:
        """Return the file's text; equal launches have equal texts."""
        return json.dumps(asdict(self), sort_keys=True, indent=1) + "\n"


def read_launch(file: Path) -> Launch:
    """Read what `Launch.to_json` wrote."""
    return Launch(**json.loads(file.read_text(encoding="utf-8")))


def become(launch: Launch) -> None:
    """Replace this process by the part."""
    environment = {**os.environ, **launch.environment}
    os.chdir(launch.directory)
    os.umask(0o077)
    for command in launch.before:
        done = subprocess.run(command, env=environment, check=False)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)}: ended with {done.returncode}")
    if launch.uid is not None and launch.gid is not None:
        os.setgroups([])
        os.setresgid(launch.gid, launch.gid, launch.gid)
        os.setresuid(launch.uid, launch.uid, launch.uid)
    os.execve(launch.command[0], list(launch.command), environment)  # noqa: S606 - no shell wanted


if __name__ == "__main__":
    become(read_launch(Path(sys.argv[1])))
