"""Breaker changes: when which endpoint took no calls, for service levels

Revision ID: 0022
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.create_table(
        "breaker_changes",
        sa.Column("provider", sa.String(length=63), nullable=False),
        sa.Column("entry", sa.String(length=50), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("endpoint", sa.String(length=300), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("provider", "entry", name=op.f("pk_breaker_changes")),
    )
    op.create_index(op.f("ix_breaker_changes_at"), "breaker_changes", ["at"])
