"""Which messages of alerts tell only of recoveries

Revision ID: 0029
"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    column: sa.Column[bool] = sa.Column(
        "recovered", sa.Boolean(), nullable=False, server_default=sa.false()
    )
    op.add_column("alert_messages", column)
