"""Ids under which a provider gives more than one row

Revision ID: 0012
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "variants",
        sa.Column("provider", sa.String(length=63), nullable=False),
        sa.Column("resource", sa.String(length=40), nullable=False),
        sa.Column("sourced_id", sa.String(length=255), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("orgs", JSON, nullable=False),
        sa.Column("merged", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["provider", "resource", "sourced_id"],
            ["records.provider", "records.resource", "records.sourced_id"],
            name=op.f("fk_variants_provider_resource_sourced_id_records"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "provider", "resource", "sourced_id", "content_hash", name=op.f("pk_variants")
        ),
    )
