"""Alembic's entry: runs the revisions on the connection that `Ledger.migrate` hands in."""

from alembic import context

from platform_assets.lineage.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
