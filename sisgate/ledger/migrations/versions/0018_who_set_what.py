"""Who set a pause, a limit or a breaker by hand, and why: what a verdict names

Revision ID: 0018
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.add_column("controls", sa.Column("set_by", JSON, nullable=True))
