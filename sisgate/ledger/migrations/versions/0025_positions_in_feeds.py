"""Positions in feeds, and an index of what became of a record

Revision ID: 0025
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.create_table(
        "feed_positions",
        sa.Column("provider", sa.String(length=63), nullable=False),
        sa.Column("resource", sa.String(length=40), nullable=False),
        sa.Column("app", sa.String(length=100), nullable=False),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("provider", "resource", "app", name=op.f("pk_feed_positions")),
    )
    op.create_index(
        op.f("ix_changes_provider_resource_sourced_id"),
        "changes",
        ["provider", "resource", "sourced_id"],
        sqlite_where=sa.text("operation != 'insert'"),
        postgresql_where=sa.text("operation != 'insert'"),
    )
