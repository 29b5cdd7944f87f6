"""Sealed requests, the horizon of changes, and what retention looks for

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


DELETED = sa.text("deleted_at IS NOT NULL")


def upgrade() -> None:
    # Plain ADD COLUMN: a copy of the table would take long in a large ledger.
    op.add_column("jobs", sa.Column("sealed_request", sa.LargeBinary(), nullable=True))
    op.create_index(op.f("ix_jobs_ended_at"), "jobs", ["ended_at"])
    op.add_column(
        "datasets", sa.Column("change_horizon", BIG_ID, server_default="0", nullable=False)
    )
    op.create_index(
        op.f("ix_records_deleted_at"),
        "records",
        ["deleted_at"],
        sqlite_where=DELETED,
        postgresql_where=DELETED,
    )
