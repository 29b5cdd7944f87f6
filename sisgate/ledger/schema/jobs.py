"""The tables of jobs, and of what is made of one: its listings, calls, attempts and response."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from sisgate.domain.states import (
    LIVE_CALL_STATES,
    LIVE_JOB_STATES,
    UNSUCCESSFUL_JOB_STATES,
    CallState,
    JobKind,
    JobState,
)
from sisgate.ledger.schema.base import Base, BigId, one_of, partial_index

LIVE_JOB = one_of("state", LIVE_JOB_STATES)
LIVE_CALL = one_of("state", LIVE_CALL_STATES)
ENDED_OTHERWISE = one_of("state", UNSUCCESSFUL_JOB_STATES)
"""The conditions of indexes. Most rows have ended well, and few queries look for those.

No two fit one query: with old statistics PostgreSQL takes each for an index of hardly any row, and
would read the wrong one from end to end.
"""


class Job(Base):
    """What an app asked for. The tallies grow as its calls end.

    `dead`: sisgate gave it up; `retried_as` is the job that it was enqueued as once more. Of a
    sync, `high_water` is the newest time that a row told, and `newest_id` that row. `witness` is
    the record that a filter by time must give back, until it does. A live request with `shared_as`
    answers others that ask the same; `shared` counts those that it, or its response, answered.
    `traceparent` names the trace that it belongs to (W3C Trace Context). Of a sync of a schedule
    `due_at` is when it was to be accepted, and `begun_at` when its first call began: it is noted
    with the first of its calls that ends.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(one_of("kind", JobKind), name="kind"),
        CheckConstraint(one_of("state", JobState), name="state"),
        UniqueConstraint("app", "idempotency_key"),
        Index(None, "accepted_at"),
        Index(None, "provider", "state"),
        partial_index("priority", "accepted_at", where="state = 'accepted'"),
        partial_index("expires_at", where=LIVE_JOB),
        partial_index("state", "accepted_at", where=ENDED_OTHERWISE),
        partial_index("ended_at", where="ended_at IS NOT NULL"),
        partial_index("provider", "resource", "ended_at", where="resource IS NOT NULL"),
        partial_index("app", "provider", "resource", "ended_at", where="resource IS NOT NULL"),
        partial_index("dead", "ended_at", where="dead", sqlite="dead = 1"),
        partial_index("shared_as", where=f"shared_as IS NOT NULL AND {LIVE_JOB}", unique=True),
        partial_index("provider", where="shared > 0"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    state: Mapped[str] = mapped_column(String(10))
    app: Mapped[str] = mapped_column(String(100))
    provider: Mapped[str] = mapped_column(String(63))
    resource: Mapped[str | None] = mapped_column(String(40))
    priority: Mapped[int]
    options: Mapped[dict[str, Any]]
    sealed_request: Mapped[bytes | None]
    idempotency_key: Mapped[str | None] = mapped_column(String(255))
    fingerprint: Mapped[str] = mapped_column(String(64))
    accepted_at: Mapped[datetime]
    published_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    mode: Mapped[str | None] = mapped_column(String(12))
    since: Mapped[datetime | None]
    generation: Mapped[int | None]
    high_water: Mapped[datetime | None]
    newest_id: Mapped[str | None] = mapped_column(String(255))
    witness: Mapped[str | None] = mapped_column(String(255))
    complete: Mapped[bool | None]
    note: Mapped[str | None] = mapped_column(Text)
    error: Mapped[dict[str, Any] | None]
    dead: Mapped[bool] = mapped_column(default=False)
    retried_as: Mapped[str | None] = mapped_column(String(36))
    rows_seen: Mapped[int] = mapped_column(default=0)
    inserted: Mapped[int] = mapped_column(default=0)
    updated: Mapped[int] = mapped_column(default=0)
    deleted: Mapped[int] = mapped_column(default=0)
    calls_made: Mapped[int] = mapped_column(default=0)
    throttled: Mapped[int] = mapped_column(default=0)
    shared_as: Mapped[str | None] = mapped_column(String(64))
    shared: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    request_id: Mapped[str | None] = mapped_column(String(100))
    traceparent: Mapped[str | None] = mapped_column(String(55))
    due_at: Mapped[datetime | None]
    begun_at: Mapped[datetime | None]


class ListingRow(Base):
    """One list that a sync reads, with what is known of its length."""

    __tablename__ = "listings"
    __table_args__ = (Index(None, "job_id", "name"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(200))
    plan: Mapped[dict[str, Any]]
    total: Mapped[int | None]
    looks: Mapped[int] = mapped_column(default=1)
    replaced: Mapped[bool] = mapped_column(default=False)


class Call(Base):
    """One HTTP request to a provider: one permit, one Celery message, one row.

    `is_retry`: it repeats a request that the provider has failed, so it counts against the budget.
    `attempt` fences: it grows with every claim, and only the claim with the row's number may
    write the outcome. `tries` counts the provider's failures, `lost_workers` the claims whose
    lease ran out.
    """

    __tablename__ = "calls"
    __table_args__ = (
        CheckConstraint(one_of("state", CallState), name="state"),
        Index(None, "job_id"),
        partial_index("job_id", "id", where="ended_at IS NULL"),
        partial_index("not_before", where="state = 'planned' AND not_before IS NOT NULL"),
        partial_index("provider", "priority", "published_at", where="state = 'queued'"),
        partial_index("lease_until", where="state = 'running'"),
        partial_index("listing_id", where="listing_id IS NOT NULL"),
        partial_index(
            "provider",
            "is_retry",
            where=f"is_retry AND {LIVE_CALL}",
            sqlite=f"is_retry = 1 AND {LIVE_CALL}",
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    listing_id: Mapped[int | None] = mapped_column(ForeignKey("listings.id", ondelete="CASCADE"))
    provider: Mapped[str] = mapped_column(String(63))
    priority: Mapped[int]
    purpose: Mapped[str] = mapped_column(String(10))
    state: Mapped[str] = mapped_column(String(10))
    attempt: Mapped[int] = mapped_column(default=0)
    tries: Mapped[int] = mapped_column(default=0)
    lost_workers: Mapped[int] = mapped_column(default=0)
    is_retry: Mapped[bool] = mapped_column(default=False)
    look: Mapped[int] = mapped_column(default=1)
    start: Mapped[int | None]
    page: Mapped[int | None]
    size: Mapped[int | None]
    link: Mapped[str | None] = mapped_column(Text)
    target: Mapped[dict[str, Any] | None]
    planned_at: Mapped[datetime]
    not_before: Mapped[datetime | None]
    published_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    endpoint: Mapped[str | None] = mapped_column(String(300))
    status: Mapped[int | None]
    body_bytes: Mapped[int | None]
    elapsed_ms: Mapped[int | None]
    rows: Mapped[int | None]
    total: Mapped[int | None]
    edges: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]


class Attempt(Base):
    """One time a call was begun. A call that is retried has several.

    `unsent` is where it broke off (`sisgate.domain.links.Link`) if nothing was sent. All others
    may count against the provider's quota: the limiter's state is rebuilt from them.
    """

    __tablename__ = "attempts"
    __table_args__ = (Index(None, "provider", "started_at"), Index(None, "started_at"))

    call_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True)
    permit: Mapped[str | None] = mapped_column(String(80))
    provider: Mapped[str] = mapped_column(String(63))
    started_at: Mapped[datetime]
    lease_until: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    status: Mapped[int | None]
    unsent: Mapped[str | None] = mapped_column(String(20))


class Response(Base):
    """The answer to a `request` job: encrypted, capped in size, kept for a while.

    `asked` is the same for all that ask the same of a provider in the name of the same app.
    """

    __tablename__ = "responses"
    __table_args__ = (Index(None, "asked", "stored_at"),)

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    status: Mapped[int]
    headers: Mapped[dict[str, Any]]
    sealed_body: Mapped[bytes]
    truncated: Mapped[bool] = mapped_column(default=False)
    asked: Mapped[str | None] = mapped_column(String(64))
    stored_at: Mapped[datetime | None]
    delete_after: Mapped[datetime] = mapped_column(index=True)
