"""The audit chain

Revision ID: 0007
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from sisgate.ledger import audit_guard

revision = "0007"
down_revision = "0006"
TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "audit_events",
        sa.Column("writer", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("action", sa.String(length=100), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("provider", sa.String(length=63), nullable=True),
        sa.Column("job_id", sa.String(length=36), nullable=True),
        sa.Column("request_id", sa.String(length=100), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("writer", "number", name=op.f("pk_audit_events")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_seals",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("covers", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit_seals")),
    )
    op.create_table(
        "audit_writers",
        sa.Column("writer", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sealed", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("writer", name=op.f("pk_audit_writers")),
    )
    op.create_table(
        "audit_configurations",
        sa.Column("role", sa.String(length=110), nullable=False),
        sa.Column("parts", JSON, nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("role", name=op.f("pk_audit_configurations")),
    )
    # What was written before there was a chain becomes the work of writer 0, without a MAC; the
    # first seal binds it.
    op.execute(
        "INSERT INTO audit_events (writer, number, at, actor, action, subject, reason, detail, mac)"
        " SELECT 0, row_number() OVER (ORDER BY id), at, actor, action, subject, reason,"
        f" CAST(detail AS TEXT), {_no_bytes()} FROM audit"
    )
    op.drop_table("audit")
    op.create_index(op.f("ix_audit_events_at"), "audit_events", ["at"])
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("request_id", sa.String(length=100), nullable=True))
    audit_guard.put_on(op.execute, op.get_bind().dialect.name)


def _no_bytes() -> str:
    return "''::bytea" if op.get_bind().dialect.name == "postgresql" else "x''"
