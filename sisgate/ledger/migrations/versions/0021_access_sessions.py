"""Access sessions: a person's visit to the console, begun with a token

Revision ID: 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.create_table(
        "access_sessions",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("token_id", sa.String(length=10), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_access_sessions")),
    )
    op.create_index(op.f("ix_access_sessions_expires_at"), "access_sessions", ["expires_at"])
