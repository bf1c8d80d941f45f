"""The table of facts, and what keeps it append-only and chained whoever connects.

There is no downgrade: facts are never dropped.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_POSTGRESQL = """
CREATE FUNCTION ledger_refuse_change() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only: % of facts is refused', TG_OP
        USING ERRCODE = 'insufficient_privilege',
              HINT = 'Append a later fact instead.';
END
$$;

CREATE TRIGGER facts_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON facts
FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();

CREATE FUNCTION ledger_refuse_unchained() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
DECLARE
    head record;
BEGIN
    SELECT seq, hash INTO head FROM facts ORDER BY seq DESC LIMIT 1;
    IF NEW.seq <> coalesce(head.seq + 1, 0) THEN
        RAISE EXCEPTION 'fact % does not follow fact %', NEW.seq, head.seq
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.prev <> coalesce(head.hash, repeat('0', 64)) OR NEW.hash <> encode(
        sha256(decode(NEW.prev, 'hex') || sha256(NEW.canonical)), 'hex'
    ) THEN
        RAISE EXCEPTION 'the hash of fact % does not continue the chain', NEW.seq
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER facts_chained BEFORE INSERT ON facts
FOR EACH ROW EXECUTE FUNCTION ledger_refuse_unchained();
"""

_SQLITE = (
    """CREATE TRIGGER facts_no_update BEFORE UPDATE ON facts
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: UPDATE of facts is refused'); END""",
    """CREATE TRIGGER facts_no_delete BEFORE DELETE ON facts
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: DELETE of facts is refused'); END""",
)


def upgrade() -> None:
    op.create_table(
        "facts",
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
    )
    op.create_index("facts_kind_subject_seq", "facts", ["kind", "subject", "seq"])
    if op.get_bind().dialect.name == "postgresql":
        op.get_bind().exec_driver_sql(_POSTGRESQL.replace("%", "%%"))
    else:
        for statement in _SQLITE:
            op.get_bind().exec_driver_sql(statement)
