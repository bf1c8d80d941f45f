"""What `up` does to files before a part starts: validate, choose, create, write. Safe to repeat."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from ai_how.embedded.dagster_home import write_dagster_home
from ai_how.embedded.layout import Layout
from ai_how.embedded.parts import addresses
from ai_how.embedded.ports import ensure_ports
from ai_how.embedded.secrets import Secrets, ensure_secrets, write_secret
from ai_how.estate_file import PROJECT
from platform_assets.infrastructure.estate_file import judge_estate_file
from platform_assets.serving.evaluation_set import read_evaluation_set
from platform_assets.spec.applied import AppliedEstate, write_applied
from platform_assets.spec.errors import AiHowError
from platform_assets.spec.literal_secrets import without_literals
from platform_assets.spec.model.estate import Estate
from platform_assets.spec.serving import read_serving
from resources import seaweedfs
from resources.postgresql import RunAs, ensure_cluster, unprivileged_way

DAGSTER_SETTINGS = Path("config/dagster/dagster.yaml")
# The user that PostgreSQL runs as where we are root: nobody and its group, by number.
NOBODY = 65_534
_FREE_GIB = 2
_GIB = 2**30
_TRAVERSABLE = 0o711


class DiskFull(AiHowError):
    """There is not enough room to start."""


class CannotDropPrivileges(AiHowError):
    """We are root, and PostgreSQL can be run neither as another user nor in a user namespace."""


@dataclass(frozen=True)
class Prepared:
    """Everything that the parts are made from."""

    applied: AppliedEstate
    layout: Layout
    ports: dict[str, int]
    secrets: Secrets
    run_as: RunAs


def declared_estate(file: Path) -> Estate:
    """Return what `file` declares, judged without this host.

    That a GPU is away must not keep the platform down; what is made from it asks for itself.

    Raises:
        EstateUnreadable, EstateRefused: it is missing or wrong.
    """
    return judge_estate_file(file, os.environ).accepted()


def prepare(state: Path, file: Path) -> Prepared:
    """Validate the estate of `file`; only then make directories, secrets, ports and settings.

    Raises:
        EstateUnreadable, EstateRefused: the file is missing or wrong; nothing was touched.
        ServingRefused, EvaluationSetRefused: the serving file, or rows that its gates name, are.
    """
    estate = declared_estate(file)
    serving_file = PROJECT / estate.serving
    for served in read_serving(serving_file).models.values():
        for rows in served.gates.files() if served.gates else ():
            read_evaluation_set(serving_file.parent, rows)
    layout = Layout(state)
    check_room(state)
    layout.make()
    run_as = _server_user(layout)
    secrets = ensure_secrets(layout)
    ports = ensure_ports(layout)
    declared, literals = without_literals(estate, layout.secrets)
    for secret_file, value in literals.items():
        write_secret(secret_file, value.get_secret_value())
    applied = AppliedEstate(
        declared=declared,
        source=file,
        checkpoint_root=PROJECT / estate.checkpoint_root,
        serving_file=serving_file,
        state=state,
        addresses=addresses(layout, ports),
    )
    applied.checkpoint_root.mkdir(parents=True, exist_ok=True)
    seaweedfs.write_configuration(layout.seaweedfs_configuration, secrets.identities)
    write_dagster_home(
        PROJECT / DAGSTER_SETTINGS, layout, applied.database_url("dagster", "dagster")
    )
    ensure_cluster(layout.cluster, secrets.passwords["postgres"], run_as)
    write_applied(applied)
    return Prepared(applied, layout, ports, secrets, run_as)


def check_room(state: Path) -> None:
    """Check that the disk of the state directory has room to start.

    Raises:
        DiskFull: with what is free.
    """
    existing = next(parent for parent in (state, *state.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < _FREE_GIB * _GIB:
        message = (
            f"{state}: expected at least {_FREE_GIB} GiB free on its disk, found "
            f"{free / _GIB:.1f} GiB; make room, or set AI_HOW_STATE to a directory on another disk"
        )
        raise DiskFull(message)


def _server_user(layout: Layout) -> RunAs:
    """Return how PostgreSQL is started, with its directories in that user's hands."""
    if os.getuid() != 0:
        return RunAs()
    for directory in (layout.state, layout.data, layout.sockets):
        directory.chmod(_TRAVERSABLE)
    way = unprivileged_way([layout.data, layout.sockets], NOBODY, NOBODY)
    if way.run_as is None:
        message = (
            "postgresql: it refuses to run as root, and neither way round that works here: "
            f"{'; '.join(way.tried)}. Run `ai-how` as an ordinary user, or put the project and "
            "AI_HOW_STATE where every directory above them is open to others (chmod o+x)"
        )
        raise CannotDropPrivileges(message)
    # In a user namespace the server is root to the outside, so its files are root's.
    owner = (way.run_as.uid, way.run_as.gid) if way.run_as.uid is not None else (0, 0)
    for directory in (layout.postgresql, layout.postgresql_sockets):
        if directory.stat().st_uid != owner[0]:
            _give(directory, owner)
    return way.run_as


def _give(directory: Path, owner: tuple[int | None, int | None]) -> None:
    uid, gid = owner[0] or 0, owner[1] or 0
    for path in [directory, *directory.rglob("*")]:
        os.chown(path, uid, gid, follow_symlinks=False)
