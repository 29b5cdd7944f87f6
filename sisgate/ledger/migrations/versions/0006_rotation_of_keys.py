"""Rotation of keys

Revision ID: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
TIME = sa.DateTime(timezone=True)

STATES = "'staged', 'canary', 'active', 'draining', 'retired', 'revoked'"
TIMES = (
    "activated_at", "expires_at", "draining_until", "suspect_at", "next_probe_at", "checked_at",
    "warned_at",
)  # fmt: skip


def upgrade() -> None:
    with op.batch_alter_table("keys", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("source", sa.String(length=63), nullable=False, server_default="hand")
        )
        batch_op.add_column(
            sa.Column("ordered", sa.Boolean(), nullable=False, server_default=sa.false())
        )
        for name in TIMES:
            batch_op.add_column(sa.Column(name, TIME, nullable=True))
        batch_op.add_column(sa.Column("reason", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("probe_job", sa.String(length=36), nullable=True))
        batch_op.add_column(
            sa.Column("probes_failed", sa.Integer(), nullable=False, server_default="0")
        )
        batch_op.create_check_constraint(batch_op.f("ck_keys_state"), f"state IN ({STATES})")
    op.execute("UPDATE keys SET activated_at = created_at WHERE state = 'active'")
    op.create_table(
        "key_slots",
        sa.Column("provider", sa.String(length=63), nullable=False),
        sa.Column("slot", sa.String(length=10), nullable=False),
        sa.Column("requested_at", TIME, nullable=True),
        sa.Column("order_id", sa.String(length=36), nullable=True),
        sa.Column("order_tries", sa.Integer(), nullable=False),
        sa.Column("leased_until", TIME, nullable=True),
        sa.Column("not_before", TIME, nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("provider", "slot", name=op.f("pk_key_slots")),
    )
    op.create_table(
        "key_usage",
        sa.Column("key_id", sa.String(length=36), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("errors", sa.BigInteger(), nullable=False),
        sa.Column("throttled", sa.BigInteger(), nullable=False),
        sa.Column("refused", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", TIME, nullable=True),
        sa.Column("first_refused_at", TIME, nullable=True),
        sa.Column("last_refused_at", TIME, nullable=True),
        sa.Column("batch", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["key_id"], ["keys.id"], name=op.f("fk_key_usage_key_id_keys"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_key_usage")),
    )
