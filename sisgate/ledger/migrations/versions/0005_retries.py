"""Retries, dead letters, unknown outcomes

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
TIME = sa.DateTime(timezone=True)

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
JOBS = sa.table(
    "jobs", sa.column("state"), sa.column("error", JSON), sa.column("dead", sa.Boolean())
)
CALLS = sa.table(
    "calls",
    sa.column("state"),
    sa.column("error", JSON),
    sa.column("tries"),
    sa.column("is_retry", sa.Boolean()),
)
JOB_STATES = "'accepted', 'running', 'done', 'held', 'failed', 'cancelled', 'expired'"
CALL_STATES = "'planned', 'queued', 'running', 'done', 'failed', 'cancelled'"


def upgrade() -> None:
    op.add_column(
        "jobs", sa.Column("dead", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("jobs", sa.Column("retried_as", sa.String(length=36), nullable=True))
    op.add_column(
        "calls", sa.Column("is_retry", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("responses", sa.Column("asked", sa.String(length=64), nullable=True))
    op.add_column("responses", sa.Column("stored_at", TIME, nullable=True))
    allow_states(f"{JOB_STATES}, 'unknown'", f"{CALL_STATES}, 'unknown'")
    for table, columns, flag in (
        ("jobs", ["dead", "ended_at"], "dead"),
        ("calls", ["provider", "is_retry"], "is_retry"),
    ):
        op.create_index(
            op.f(f"ix_{table}_{'_'.join(columns)}"),
            table,
            columns,
            sqlite_where=sa.text(f"{flag} = 1"),
            postgresql_where=sa.text(flag),
        )
    op.create_index(op.f("ix_responses_asked_stored_at"), "responses", ["asked", "stored_at"])
    sort_what_there_is()


def allow_states(job_states: str, call_states: str) -> None:
    """Say anew which states there may be. SQLite copies the tables for it."""
    for table, states in (("jobs", job_states), ("calls", call_states)):
        name = op.f(f"ck_{table}_state")
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_constraint(name, type_="check")
            batch_op.create_check_constraint(name, f"state IN ({states})")


def sort_what_there_is() -> None:
    """Give the new marks to what failed before there were any."""
    for table in (JOBS, CALLS):
        code = table.c.error["code"].as_string()
        was_unknown = (table.c.state == "failed") & (code == "unknown")
        op.execute(table.update().where(was_unknown).values(state="unknown"))
    code, tries = JOBS.c.error["code"].as_string(), JOBS.c.error["tries"].as_string()
    gave_up = (JOBS.c.state == "failed") & ((code == "poison") | tries.is_not(None))
    op.execute(JOBS.update().where(gave_up).values(dead=True))
    waits_again = (CALLS.c.state == "planned") & (CALLS.c.tries > 0)
    op.execute(CALLS.update().where(waits_again).values(is_retry=True))
