"""Deletions wait for the end of their sync; the record that proves a filter

Revision ID: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "marked_deletions",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("sourced_id", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "sourced_id", name=op.f("pk_marked_deletions")),
    )
    op.add_column("jobs", sa.Column("newest_id", sa.String(length=255), nullable=True))
    op.add_column("jobs", sa.Column("witness", sa.String(length=255), nullable=True))
    op.add_column("datasets", sa.Column("newest_id", sa.String(length=255), nullable=True))
