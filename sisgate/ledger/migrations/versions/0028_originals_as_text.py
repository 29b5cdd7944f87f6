"""The originals of records as text in PostgreSQL, which need not parse them

Rewrites `records`, half a minute or so for a million of them: it waits for transactions under way,
then nobody reads or writes the table, and the disk needs room for it twice.

Revision ID: 0028
"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    # SQLite keeps JSON as text in any case.
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("records", "original", type_=sa.Text(), postgresql_using="original::text")
