"""The ledger's one table, for PostgreSQL on the platform and SQLite in exports.

What changes it stands in `migrations`; a test holds the two equal. The envelope is stored as its
canonical bytes; `kind`, `subject` and the times stand beside them only to be searched.
"""

from typing import Final

import sqlalchemy as sa

metadata: Final = sa.MetaData()

facts: Final = sa.Table(
    "facts",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("valid_from", sa.Text, nullable=False),
    sa.Column("recorded_at", sa.Text, nullable=False),
    sa.Column("canonical", sa.LargeBinary, nullable=False),
    sa.Column("prev", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    sa.UniqueConstraint("prev", name="facts_prev_key"),
    sa.UniqueConstraint("hash", name="facts_hash_key"),
    sa.Index("facts_kind_subject_seq", "kind", "subject", "seq"),
)
