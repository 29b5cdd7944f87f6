"""Webhooks: who is told what, what there is to tell, and how it was delivered

Triggers put ends of jobs into the outbox.

Revision ID: 0019
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from sisgate.ledger import webhook_triggers

revision = "0019"
down_revision = "0018"

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "provider_conditions",
        sa.Column("provider", sa.String(length=63), nullable=False),
        sa.Column("condition", sa.String(length=10), nullable=False),
        sa.Column("since", TIME, nullable=False),
        sa.PrimaryKeyConstraint("provider", name=op.f("pk_provider_conditions")),
    )
    op.create_table(
        "webhook_outbox",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("topic", sa.String(length=10), nullable=False),
        sa.Column("job_id", sa.String(length=36), nullable=True),
        sa.Column("app", sa.String(length=100), nullable=True),
        sa.Column("provider", sa.String(length=63), nullable=True),
        sa.Column("resource", sa.String(length=40), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=True),
        sa.Column("at", TIME, nullable=True),
        sa.Column("data", JSON, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_outbox")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(length=20), nullable=False),
        sa.Column("app", sa.String(length=100), nullable=False),
        sa.Column("owner", sa.String(length=100), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("events", JSON, nullable=False),
        sa.Column("providers", JSON, nullable=True),
        sa.Column("every_app", sa.Boolean(), nullable=False),
        sa.Column("ordered", sa.Boolean(), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_former", sa.LargeBinary(), nullable=True),
        sa.Column("former_until", TIME, nullable=True),
        sa.Column("last_number", BIG, nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", TIME, nullable=True),
        sa.Column("not_before", TIME, nullable=True),
        sa.Column("tried_at", TIME, nullable=True),
        sa.Column("delivered_at", TIME, nullable=True),
        sa.Column("last_error", sa.String(length=300), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.CheckConstraint(
            "state IN ('active', 'paused', 'ended')", name=op.f("ck_webhooks_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    op.create_index(op.f("ix_webhooks_app"), "webhooks", ["app"], unique=False)
    op.create_table(
        "webhook_interests",
        sa.Column("topic", sa.String(length=10), nullable=False),
        sa.Column("app", sa.String(length=100), nullable=False),
        sa.Column("webhook_id", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(
            ["webhook_id"],
            ["webhooks.id"],
            name=op.f("fk_webhook_interests_webhook_id_webhooks"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("topic", "app", "webhook_id", name=op.f("pk_webhook_interests")),
    )
    op.create_index(
        op.f("ix_webhook_interests_webhook_id"), "webhook_interests", ["webhook_id"], unique=False
    )
    op.create_table(
        "webhook_messages",
        sa.Column("webhook_id", sa.String(length=20), nullable=False),
        sa.Column("number", BIG, autoincrement=False, nullable=False),
        sa.Column("event_id", sa.String(length=40), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("provider", sa.String(length=63), nullable=True),
        sa.Column("resource", sa.String(length=40), nullable=True),
        sa.Column("job_id", sa.String(length=36), nullable=True),
        sa.Column("stream", sa.String(length=110), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("due_since", TIME, nullable=False),
        sa.Column("not_before", TIME, nullable=False),
        sa.Column("lease_until", TIME, nullable=True),
        sa.Column("ended_at", TIME, nullable=True),
        sa.CheckConstraint(
            "state IN ('kept', 'waiting', 'sending', 'delivered', 'dead', 'dropped')",
            name=op.f("ck_webhook_messages_state"),
        ),
        sa.ForeignKeyConstraint(
            ["webhook_id"],
            ["webhooks.id"],
            name=op.f("fk_webhook_messages_webhook_id_webhooks"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("webhook_id", "number", name=op.f("pk_webhook_messages")),
    )
    op.create_index(
        op.f("ix_webhook_messages_created_at"), "webhook_messages", ["created_at"], unique=False
    )
    op.create_index(
        op.f("ix_webhook_messages_webhook_id_lease_until"),
        "webhook_messages",
        ["webhook_id", "lease_until"],
        unique=False,
        sqlite_where=sa.text("state = 'sending'"),
        postgresql_where=sa.text("state = 'sending'"),
    )
    op.create_index(
        op.f("ix_webhook_messages_webhook_id_not_before"),
        "webhook_messages",
        ["webhook_id", "not_before"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        op.f("ix_webhook_messages_webhook_id_state_number"),
        "webhook_messages",
        ["webhook_id", "state", "number"],
        unique=False,
    )
    op.create_index(
        op.f("ix_webhook_messages_webhook_id_stream_number"),
        "webhook_messages",
        ["webhook_id", "stream", "number"],
        unique=False,
        sqlite_where=sa.text("state IN ('waiting', 'sending')"),
        postgresql_where=sa.text("state IN ('waiting', 'sending')"),
    )
    op.create_table(
        "webhook_attempts",
        sa.Column("webhook_id", sa.String(length=20), nullable=False),
        sa.Column("number", BIG, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("elapsed_ms", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(length=300), nullable=True),
        sa.Column("address", sa.String(length=60), nullable=True),
        sa.ForeignKeyConstraint(
            ["webhook_id", "number"],
            ["webhook_messages.webhook_id", "webhook_messages.number"],
            name=op.f("fk_webhook_attempts_webhook_id_number_webhook_messages"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "webhook_id", "number", "attempt", name=op.f("pk_webhook_attempts")
        ),
    )
    webhook_triggers.put_on(op.execute, op.get_bind().dialect.name)
