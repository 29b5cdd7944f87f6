"""Indexes of states hold live rows only

Revision ID: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

LIVE_JOB = "state IN ('accepted', 'running')"
LIVE_CALL = "state IN ('planned', 'queued', 'running')"
NOT_DONE = "state IN ('held', 'failed', 'cancelled', 'expired', 'unknown')"
IS_SYNC = "resource IS NOT NULL"

Columns = tuple[str, ...]

FULL: dict[str, list[Columns]] = {
    "jobs": [
        ("state", "accepted_at"),
        ("state", "expires_at"),
        ("provider", "state", "accepted_at"),
        ("ended_at",),
        ("provider", "resource", "ended_at"),
        ("app", "provider", "resource", "ended_at"),
    ],
    "calls": [
        ("job_id", "state"),
        ("state", "not_before"),
        ("state", "lease_until"),
        ("state", "provider", "priority", "published_at"),
        ("listing_id",),
    ],
}
NEW: dict[str, list[Columns]] = {
    "jobs": [("accepted_at",), ("provider", "state")],
    "calls": [("job_id",)],
}
PARTIAL: dict[str, dict[Columns, str]] = {
    "jobs": {
        ("priority", "accepted_at"): "state = 'accepted'",
        ("expires_at",): LIVE_JOB,
        ("state", "accepted_at"): NOT_DONE,
        ("ended_at",): "ended_at IS NOT NULL",
        ("provider", "resource", "ended_at"): IS_SYNC,
        ("app", "provider", "resource", "ended_at"): IS_SYNC,
    },
    "calls": {
        ("job_id", "id"): "ended_at IS NULL",
        ("not_before",): "state = 'planned' AND not_before IS NOT NULL",
        ("provider", "priority", "published_at"): "state = 'queued'",
        ("lease_until",): "state = 'running'",
        ("listing_id",): "listing_id IS NOT NULL",
    },
}
RETRIES = "ix_calls_provider_is_retry"


def name(table: str, columns: Columns) -> str:
    return f"ix_{table}_{'_'.join(columns)}"


def upgrade() -> None:
    op.drop_index(RETRIES, "calls")
    for table, old in FULL.items():
        for columns in old:
            op.drop_index(name(table, columns), table)
        for columns in NEW[table]:
            op.create_index(name(table, columns), table, list(columns))
        for columns, where in PARTIAL[table].items():
            op.create_index(
                name(table, columns),
                table,
                list(columns),
                sqlite_where=sa.text(where),
                postgresql_where=sa.text(where),
            )
    op.create_index(
        RETRIES,
        "calls",
        ["provider", "is_retry"],
        sqlite_where=sa.text(f"is_retry = 1 AND {LIVE_CALL}"),
        postgresql_where=sa.text(f"is_retry AND {LIVE_CALL}"),
    )
