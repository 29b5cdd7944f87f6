"""The tables of the ledger; `key_schema` and `audit_schema` have those of keys and audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from sisgate.domain.states import CallState, JobKind, JobState
from sisgate.ledger.audit_schema import AuditEvent as AuditEvent  # noqa: PLC0414 - one place for tables
from sisgate.ledger.base import Base as Base  # noqa: PLC0414 - exported from here too
from sisgate.ledger.key_schema import Key as Key  # noqa: PLC0414 - its tables belong to it
from sisgate.ledger.types import BigId
from sisgate.ledger.usage_schema import UsageHour as UsageHour  # noqa: PLC0414 - its table belongs to it


def _one_of(column: str, values: type[JobKind | JobState | CallState]) -> str:
    words = ", ".join(f"'{value.value}'" for value in values)
    return f"{column} IN ({words})"


class Job(Base):
    """What an app asked for. The tallies grow as its calls end.

    `dead`: sisgate gave it up; `retried_as` is the job that it was enqueued as once more. Of a
    sync, `high_water` is the newest time that a row told, and `newest_id` that row. `witness` is
    the record that a filter by time must give back, until it does.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(_one_of("kind", JobKind), name="kind"),
        CheckConstraint(_one_of("state", JobState), name="state"),
        UniqueConstraint("app", "idempotency_key"),
        Index(None, "state", "accepted_at"),
        Index(None, "state", "expires_at"),
        Index(None, "provider", "state", "accepted_at"),
        Index(None, "ended_at"),
        Index(None, "provider", "resource", "ended_at"),
        Index(None, "app", "provider", "resource", "ended_at"),
        Index(
            None, "dead", "ended_at", sqlite_where=text("dead = 1"), postgresql_where=text("dead")
        ),
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
    request_id: Mapped[str | None] = mapped_column(String(100))


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
        CheckConstraint(_one_of("state", CallState), name="state"),
        Index(None, "job_id", "state"),
        Index(None, "state", "not_before"),
        Index(None, "state", "lease_until"),
        Index(None, "state", "provider", "priority", "published_at"),
        Index(None, "listing_id"),
        Index(
            None,
            "provider",
            "is_retry",
            sqlite_where=text("is_retry = 1"),
            postgresql_where=text("is_retry"),
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
    """One time a call was really begun: what a provider may have counted against its quota.

    A call that is retried has several. The limiter's state is rebuilt from these rows.
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


class Dataset(Base):
    """One resource of one provider. Its row is the lock under which changes are numbered.

    `high_water` is the newest time that a live record told, and `newest_id` that record.
    """

    __tablename__ = "datasets"

    provider: Mapped[str] = mapped_column(String(63), primary_key=True)
    resource: Mapped[str] = mapped_column(String(40), primary_key=True)
    last_sequence: Mapped[int] = mapped_column(BigId, default=0)
    change_horizon: Mapped[int] = mapped_column(BigId, default=0, server_default="0")
    generation: Mapped[int] = mapped_column(default=0)
    high_water: Mapped[datetime | None]
    newest_id: Mapped[str | None] = mapped_column(String(255))
    filter_works: Mapped[bool | None]
    full_synced_at: Mapped[datetime | None]
    synced_at: Mapped[datetime | None]


class Record(Base):
    """One entity in canonical OneRoster 1.2 shape, and as the provider sent it."""

    __tablename__ = "records"
    __table_args__ = (
        # Of the deleted ones only: writing a page costs nothing more.
        Index(
            None,
            "deleted_at",
            sqlite_where=text("deleted_at IS NOT NULL"),
            postgresql_where=text("deleted_at IS NOT NULL"),
        ),
    )

    provider: Mapped[str] = mapped_column(String(63), primary_key=True)
    resource: Mapped[str] = mapped_column(String(40), primary_key=True)
    sourced_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    data: Mapped[dict[str, Any]]
    original: Mapped[dict[str, Any]]
    content_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    generation: Mapped[int] = mapped_column(default=0)
    first_seen: Mapped[datetime]
    last_seen: Mapped[datetime]
    changed_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class Variant(Base):
    """One of several rows that a provider gives under one id in the same list.

    `orgs` are the ids of the orgs of a person's roles. `merged`: the record has the roles of all
    its rows; otherwise the row that came last when the rows were first seen.
    """

    __tablename__ = "variants"
    __table_args__ = (
        ForeignKeyConstraint(
            ["provider", "resource", "sourced_id"],
            ["records.provider", "records.resource", "records.sourced_id"],
            ondelete="CASCADE",
        ),
    )

    provider: Mapped[str] = mapped_column(String(63), primary_key=True)
    resource: Mapped[str] = mapped_column(String(40), primary_key=True)
    sourced_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    content_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    generation: Mapped[int]
    orgs: Mapped[list[Any]]
    merged: Mapped[bool]


class MarkedDeletion(Base):
    """A live record that a sync under way was told is gone; the sync's end decides on it."""

    __tablename__ = "marked_deletions"

    job_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    sourced_id: Mapped[str] = mapped_column(String(255), primary_key=True)


class Change(Base):
    """One insert, update or delete of a record. Holds no student data: the record does."""

    __tablename__ = "changes"

    provider: Mapped[str] = mapped_column(String(63), primary_key=True)
    resource: Mapped[str] = mapped_column(String(40), primary_key=True)
    sequence: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    operation: Mapped[str] = mapped_column(String(6))
    sourced_id: Mapped[str] = mapped_column(String(255))
    job_id: Mapped[str] = mapped_column(String(36))
    changed_at: Mapped[datetime]


class Control(Base):
    """What a person has set for a provider at run time; it beats the configuration file.

    `pins` are breakers that are fixed by hand, by endpoint. `journal_read` is the last entry of the
    breakers' journal that the audit log has.
    """

    __tablename__ = "controls"

    provider: Mapped[str] = mapped_column(String(63), primary_key=True)
    windows: Mapped[list[Any] | None]
    paused: Mapped[bool] = mapped_column(default=False)
    paused_until: Mapped[datetime | None]
    blocked_until: Mapped[datetime | None]
    pins: Mapped[dict[str, Any] | None]
    journal_read: Mapped[str | None] = mapped_column(String(50))
    changed_at: Mapped[datetime]


class AccessToken(Base):
    """A token of an app or a person: its digest, and what it is good for."""

    __tablename__ = "access_tokens"

    id: Mapped[str] = mapped_column(String(10), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    roles: Mapped[list[Any]]
    scopes: Mapped[list[Any]]
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(100))
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class Suppression(Base):
    """A person whom later syncs of a provider leave out: a keyed digest, no id and no name."""

    __tablename__ = "suppressions"

    provider: Mapped[str] = mapped_column(String(63), primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    created_at: Mapped[datetime]


class PrivacyKey(Base):
    """A key that makes digests of persons, sealed. It never changes."""

    __tablename__ = "privacy_keys"

    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    sealed_key: Mapped[bytes]
