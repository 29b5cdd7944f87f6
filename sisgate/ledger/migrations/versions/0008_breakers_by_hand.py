"""Breakers pinned by hand, and how far their journal is in the audit log

Revision ID: 0008
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column("controls", sa.Column("pins", JSON, nullable=True))
    op.add_column("controls", sa.Column("journal_read", sa.String(length=50), nullable=True))
