"""Usage of providers by the hour

Revision ID: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "usage_hours",
        sa.Column("hour", TIME, nullable=False),
        sa.Column("provider", sa.String(length=63), nullable=False),
        sa.Column("app", sa.String(length=100), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("throttled", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hour", "provider", "app", name=op.f("pk_usage_hours")),
    )
