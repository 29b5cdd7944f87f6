"""Sightings: when records were last seen, noted once for all that were seen together

Nothing is rewritten, however large the table of records is: records join a sighting when they are
next seen, and until then go by their own columns.

Revision ID: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "sightings",
        sa.Column("id", ID, nullable=False),
        sa.Column("provider", sa.String(length=63), nullable=False),
        sa.Column("resource", sa.String(length=40), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sightings")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_sightings_provider_resource"), "sightings", ["provider", "resource"])
    op.add_column("records", sa.Column("sighting_id", sa.BigInteger(), nullable=True))
    op.create_index(op.f("ix_records_sighting_id"), "records", ["sighting_id"])
