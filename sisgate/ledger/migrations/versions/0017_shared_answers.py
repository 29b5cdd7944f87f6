"""Shared answers: identical requests in flight share one call

`shared_as` is unique among live jobs, so that of requests at the same moment one makes the call.

Revision ID: 0017
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

LIVE = "shared_as IS NOT NULL AND state IN ('accepted', 'running')"
IS_SHARED = "shared > 0"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("shared_as", sa.String(length=64), nullable=True))
    op.add_column(
        "jobs", sa.Column("shared", sa.Integer(), nullable=False, server_default=sa.text("0"))
    )
    for columns, where, unique in ((["shared_as"], LIVE, True), (["provider"], IS_SHARED, False)):
        op.create_index(
            op.f(f"ix_jobs_{columns[0]}"),
            "jobs",
            columns,
            unique=unique,
            sqlite_where=sa.text(where),
            postgresql_where=sa.text(where),
        )
