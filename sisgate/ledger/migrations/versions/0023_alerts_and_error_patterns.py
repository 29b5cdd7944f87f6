"""Alerts with their messages and silences, and patterns of errors

Revision ID: 0023
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LIVE = "state IN ('pending', 'firing', 'acknowledged')"

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "alerts",
        sa.Column("id", sa.String(12), nullable=False),
        sa.Column("rule", sa.String(63), nullable=False),
        sa.Column("subject", sa.String(150), nullable=False),
        sa.Column("provider", sa.String(63), nullable=True),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("severity", sa.String(8), nullable=False),
        sa.Column("cause", sa.String(40), nullable=False),
        sa.Column("culprit", sa.String(150), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("remedy", sa.Text(), nullable=False),
        sa.Column("evidence", JSON, nullable=False),
        sa.Column("since", moment, nullable=False),
        sa.Column("fired_at", moment, nullable=True),
        sa.Column("acknowledged_at", moment, nullable=True),
        sa.Column("acknowledged_by", sa.String(100), nullable=True),
        sa.Column("note", sa.String(500), nullable=True),
        sa.Column("resolved_at", moment, nullable=True),
        sa.Column("seen_at", moment, nullable=False),
        sa.Column("changed_at", moment, nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("flaps", sa.Integer(), nullable=False),
        sa.Column("told", sa.String(8), nullable=True),
        sa.Column("told_at", moment, nullable=True),
        sa.CheckConstraint(
            "state IN ('pending', 'firing', 'acknowledged', 'resolved')",
            name=op.f("ck_alerts_state"),
        ),
        sa.CheckConstraint(
            "severity IN ('info', 'warning', 'critical')", name=op.f("ck_alerts_severity")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
    )
    op.create_index(
        op.f("ix_alerts_rule_subject"), "alerts", ["rule", "subject"], unique=True,
        sqlite_where=sa.text(LIVE), postgresql_where=sa.text(LIVE),
    )  # fmt: skip
    op.create_index(op.f("ix_alerts_changed_at"), "alerts", ["changed_at"])
    op.create_table(
        "alert_silences",
        sa.Column("id", sa.String(12), nullable=False),
        sa.Column("rule", sa.String(63), nullable=True),
        sa.Column("provider", sa.String(63), nullable=True),
        sa.Column("until", moment, nullable=False),
        sa.Column("set_by", sa.String(100), nullable=False),
        sa.Column("reason", sa.String(500), nullable=True),
        sa.Column("created_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_silences")),
    )
    op.create_index(op.f("ix_alert_silences_until"), "alert_silences", ["until"])
    op.create_table(
        "alert_messages",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("channel", sa.String(63), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("severity", sa.String(8), nullable=False),
        sa.Column("alerts", JSON, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("not_before", moment, nullable=False),
        sa.Column("lease_until", moment, nullable=True),
        sa.Column("error", sa.String(300), nullable=True),
        sa.Column("sent_at", moment, nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'sent', 'dropped')", name=op.f("ck_alert_messages_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_messages")),
    )
    op.create_index(
        op.f("ix_alert_messages_not_before"), "alert_messages", ["not_before"],
        sqlite_where=sa.text("state = 'waiting'"), postgresql_where=sa.text("state = 'waiting'"),
    )  # fmt: skip
    op.create_index(op.f("ix_alert_messages_created_at"), "alert_messages", ["created_at"])
    op.create_table(
        "alert_evaluations",
        sa.Column("name", sa.String(20), nullable=False),
        sa.Column("slot", sa.BigInteger(), nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_alert_evaluations")),
    )
    op.create_table(
        "error_patterns",
        sa.Column("id", sa.String(12), nullable=False),
        sa.Column("provider", sa.String(63), nullable=False),
        sa.Column("endpoint", sa.String(300), nullable=False),
        sa.Column("code", sa.String(40), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("first_seen", moment, nullable=False),
        sa.Column("last_seen", moment, nullable=False),
        sa.Column("last_job", sa.String(36), nullable=True),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("resolved_at", moment, nullable=True),
        sa.Column("resolved_by", sa.String(100), nullable=True),
        sa.Column("fixed_in", sa.String(200), nullable=True),
        sa.Column("reopened_at", moment, nullable=True),
        sa.CheckConstraint("state IN ('open', 'resolved')", name=op.f("ck_error_patterns_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_error_patterns")),
    )
    op.create_index(op.f("ix_error_patterns_last_seen"), "error_patterns", ["last_seen"])
    op.create_table(
        "error_counts",
        sa.Column("pattern_id", sa.String(12), nullable=False),
        sa.Column("begin", moment, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["pattern_id"], ["error_patterns.id"], ondelete="CASCADE",
            name=op.f("fk_error_counts_pattern_id_error_patterns"),
        ),
        sa.PrimaryKeyConstraint("pattern_id", "begin", name=op.f("pk_error_counts")),
    )  # fmt: skip
    op.create_index(op.f("ix_error_counts_begin"), "error_counts", ["begin"])
