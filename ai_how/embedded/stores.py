"""Roles, databases, buckets and the ledger's schema: made as soon as the stores answer."""

from ai_how.embedded.preparation import Prepared
from ai_how.embedded.readiness import s3_conditions
from platform_assets.lineage.ledger import Ledger
from resources.object_store import ObjectStore
from resources.postgresql import PostgresqlServer

BUCKETS = ("models", "mlflow")


def postgresql_server(prepared: Prepared) -> PostgresqlServer:
    """Return PostgreSQL as its superuser asks it."""
    layout = prepared.layout
    return PostgresqlServer(layout.postgresql_sockets, layout.secrets / "postgres.pgpass")


def ensure_databases(prepared: Prepared) -> None:
    """Create the roles and databases that are missing, and bring the ledger's schema up to date."""
    server = postgresql_server(prepared)
    for role, password in prepared.secrets.passwords.items():
        if role != server.role:
            server.ensure_role(role, password)
    server.ensure_database("dagster", "dagster", {})
    server.ensure_database("mlflow", "mlflow", {})
    server.ensure_database("ledger", "ledger_owner", {"ledger_writer": "USAGE"})
    Ledger(prepared.applied.database_url("ledger_owner", "ledger")).migrate()


def ensure_buckets(prepared: Prepared) -> None:
    """Create the buckets that are missing, and check that the store keeps what we rest on."""
    url = prepared.applied.addresses.s3_url
    for bucket in BUCKETS:
        ObjectStore(url, bucket, prepared.applied.secrets / "s3-admin.json").ensure_bucket()
    publisher = next(i for i in prepared.secrets.identities if i.name == "publisher")
    s3_conditions(url, BUCKETS[0], publisher.access_key, publisher.secret_key)
