"""Tries that could not be sent, how late scheduled syncs begin, and how long things take

Revision ID: 0030
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    # The job first, as every transaction locks them.
    op.add_column("jobs", sa.Column("due_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("begun_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("attempts", sa.Column("unsent", sa.String(length=20), nullable=True))
    unsent: sa.Column[int] = sa.Column(
        "unsent", sa.Integer(), nullable=False, server_default=sa.text("0")
    )
    op.add_column("usage_hours", unsent)
    op.create_table(
        "timings",
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("label", sa.String(length=63), nullable=False),
        sa.Column("sketch", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", "label", name=op.f("pk_timings")),
    )
