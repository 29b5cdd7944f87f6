"""Which channels were told of an alert, so that its end is told to them

Revision ID: 0026
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TOLD = "told = 'firing'"

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    column = sa.Column("channels", JSON, nullable=False, server_default="[]")
    op.add_column("alerts", column)
    op.create_index(
        op.f("ix_alerts_told_at"), "alerts", ["told_at"],
        sqlite_where=sa.text(TOLD), postgresql_where=sa.text(TOLD),
    )  # fmt: skip
