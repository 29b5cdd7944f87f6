"""Rollups: what became of calls, by period, with latencies

Revision ID: 0020
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

KEY = ["period", "provider", "begin", "endpoint", "result", "priority", "resource"]


def upgrade() -> None:
    op.create_table(
        "rollups",
        sa.Column("period", sa.String(length=6), nullable=False),
        sa.Column("provider", sa.String(length=63), nullable=False),
        sa.Column("begin", sa.DateTime(timezone=True), nullable=False),
        sa.Column("endpoint", sa.String(length=300), nullable=False),
        sa.Column("result", sa.String(length=20), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("resource", sa.String(length=40), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("queue", sa.LargeBinary(), nullable=True),
        sa.Column("permit", sa.LargeBinary(), nullable=True),
        sa.Column("ledger", sa.LargeBinary(), nullable=True),
        sa.Column("latency", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint(
            "period IN ('minute', 'hour', 'day', 'ever')", name=op.f("ck_rollups_period")
        ),
        sa.PrimaryKeyConstraint(*KEY, name=op.f("pk_rollups")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_rollups_period_begin"), "rollups", ["period", "begin"])
    op.create_table(
        "rollup_progress",
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("seal", sa.BigInteger(), nullable=False),
        sa.Column("counted_to", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_rollup_progress")),
    )
