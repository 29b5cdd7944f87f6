"""The first ledger

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("action", sa.String(length=100), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("detail", JSON, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_action_id"), ["action", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_subject_id"), ["subject", "id"], unique=False)

    op.create_table(
        "changes",
        sa.Column("provider", sa.String(length=63), nullable=False),
        sa.Column("resource", sa.String(length=40), nullable=False),
        sa.Column("sequence", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("operation", sa.String(length=6), nullable=False),
        sa.Column("sourced_id", sa.String(length=255), nullable=False),
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("provider", "resource", "sequence", name=op.f("pk_changes")),
    )
    op.create_table(
        "controls",
        sa.Column("provider", sa.String(length=63), nullable=False),
        sa.Column("windows", JSON, nullable=True),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("paused_until", TIME, nullable=True),
        sa.Column("blocked_until", TIME, nullable=True),
        sa.Column("changed_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("provider", name=op.f("pk_controls")),
    )
    op.create_table(
        "datasets",
        sa.Column("provider", sa.String(length=63), nullable=False),
        sa.Column("resource", sa.String(length=40), nullable=False),
        sa.Column("last_sequence", BIG_ID, nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("high_water", TIME, nullable=True),
        sa.Column("filter_works", sa.Boolean(), nullable=True),
        sa.Column("full_synced_at", TIME, nullable=True),
        sa.Column("synced_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("provider", "resource", name=op.f("pk_datasets")),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("app", sa.String(length=100), nullable=False),
        sa.Column("provider", sa.String(length=63), nullable=False),
        sa.Column("resource", sa.String(length=40), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("options", JSON, nullable=False),
        sa.Column("idempotency_key", sa.String(length=255), nullable=True),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("accepted_at", TIME, nullable=False),
        sa.Column("published_at", TIME, nullable=True),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("expires_at", TIME, nullable=True),
        sa.Column("mode", sa.String(length=12), nullable=True),
        sa.Column("since", TIME, nullable=True),
        sa.Column("generation", sa.Integer(), nullable=True),
        sa.Column("high_water", TIME, nullable=True),
        sa.Column("complete", sa.Boolean(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("error", JSON, nullable=True),
        sa.Column("rows_seen", sa.Integer(), nullable=False),
        sa.Column("inserted", sa.Integer(), nullable=False),
        sa.Column("updated", sa.Integer(), nullable=False),
        sa.Column("deleted", sa.Integer(), nullable=False),
        sa.Column("calls_made", sa.Integer(), nullable=False),
        sa.Column("throttled", sa.Integer(), nullable=False),
        sa.CheckConstraint("kind IN ('sync', 'request')", name=op.f("ck_jobs_kind")),
        sa.CheckConstraint(
            "state IN ('accepted', 'running', 'done', 'held', 'failed', 'cancelled', 'expired')",
            name=op.f("ck_jobs_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.UniqueConstraint("app", "idempotency_key", name=op.f("uq_jobs_app_idempotency_key")),
    )
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_jobs_provider_state_accepted_at"),
            ["provider", "state", "accepted_at"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_jobs_state_accepted_at"), ["state", "accepted_at"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_jobs_state_expires_at"), ["state", "expires_at"], unique=False
        )

    op.create_table(
        "keys",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("provider", sa.String(length=63), nullable=False),
        sa.Column("slot", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("client_id", sa.String(length=255), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_keys")),
    )
    with op.batch_alter_table("keys", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_keys_provider_state"), ["provider", "state"], unique=False
        )

    op.create_table(
        "records",
        sa.Column("provider", sa.String(length=63), nullable=False),
        sa.Column("resource", sa.String(length=40), nullable=False),
        sa.Column("sourced_id", sa.String(length=255), nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.Column("original", JSON, nullable=False),
        sa.Column("content_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("first_seen", TIME, nullable=False),
        sa.Column("last_seen", TIME, nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.Column("deleted_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("provider", "resource", "sourced_id", name=op.f("pk_records")),
    )
    op.create_table(
        "listings",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("plan", JSON, nullable=False),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.Column("replaced", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_listings_job_id_jobs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listings")),
    )
    with op.batch_alter_table("listings", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_listings_job_id_name"), ["job_id", "name"], unique=False
        )

    op.create_table(
        "responses",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("headers", JSON, nullable=False),
        sa.Column("sealed_body", sa.LargeBinary(), nullable=False),
        sa.Column("truncated", sa.Boolean(), nullable=False),
        sa.Column("delete_after", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_responses_job_id_jobs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_responses")),
    )
    with op.batch_alter_table("responses", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_responses_delete_after"), ["delete_after"], unique=False
        )

    op.create_table(
        "calls",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("listing_id", BIG_ID, nullable=True),
        sa.Column("provider", sa.String(length=63), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("lost_workers", sa.Integer(), nullable=False),
        sa.Column("look", sa.Integer(), nullable=False),
        sa.Column("start", sa.Integer(), nullable=True),
        sa.Column("page", sa.Integer(), nullable=True),
        sa.Column("size", sa.Integer(), nullable=True),
        sa.Column("link", sa.Text(), nullable=True),
        sa.Column("target", JSON, nullable=True),
        sa.Column("planned_at", TIME, nullable=False),
        sa.Column("not_before", TIME, nullable=True),
        sa.Column("published_at", TIME, nullable=True),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("lease_until", TIME, nullable=True),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("endpoint", sa.String(length=300), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("body_bytes", sa.Integer(), nullable=True),
        sa.Column("elapsed_ms", sa.Integer(), nullable=True),
        sa.Column("rows", sa.Integer(), nullable=True),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("edges", JSON, nullable=True),
        sa.Column("error", JSON, nullable=True),
        sa.CheckConstraint(
            "state IN ('planned', 'queued', 'running', 'done', 'failed', 'cancelled')",
            name=op.f("ck_calls_state"),
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_calls_job_id_jobs"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["listing_id"],
            ["listings.id"],
            name=op.f("fk_calls_listing_id_listings"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calls")),
    )
    with op.batch_alter_table("calls", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_calls_job_id_state"), ["job_id", "state"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_calls_listing_id"), ["listing_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_calls_state_lease_until"), ["state", "lease_until"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_calls_state_not_before"), ["state", "not_before"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_calls_state_provider_priority_published_at"),
            ["state", "provider", "priority", "published_at"],
            unique=False,
        )

    op.create_table(
        "attempts",
        sa.Column("call_id", BIG_ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("permit", sa.String(length=80), nullable=True),
        sa.Column("provider", sa.String(length=63), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("lease_until", TIME, nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["call_id"], ["calls.id"], name=op.f("fk_attempts_call_id_calls"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("call_id", "number", name=op.f("pk_attempts")),
    )
    with op.batch_alter_table("attempts", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_attempts_provider_started_at"), ["provider", "started_at"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_attempts_started_at"), ["started_at"], unique=False)
