"""The fleet at a glance, a job's timeline, and actions on many jobs."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field

from sisgate.gateway import BulkOutcome, BulkReview, Dashboard, Timeline
from sisgate.web.schemas.document import Document, Moment, OrderDocument
from sisgate.web.schemas.jobs import JobDocument
from sisgate.web.schemas.providers import WindowDocument


class AttentionDocument(Document):
    """One thing that somebody should look at, and what to do."""

    level: Literal["critical", "warning"]
    subject: str
    message: str
    remedy: str
    provider: str | None
    count: int | None


class KeyAgesDocument(Document):
    """The active keys of a provider: when the oldest began, and when the first ends, if known."""

    oldest_at: Moment
    expires_at: Moment | None


class ServiceSummaryDocument(Document):
    """How a provider has served: latency of the last hour, and error budget left of 30 days."""

    p95_seconds: float | None
    budget_left: Annotated[float | None, Field(description="The least, as a share.")]


class ProviderLoadDocument(Document):
    """A provider with its backlog by priority, and when it is worked off if nothing is added."""

    name: str
    kind: str
    windows: list[WindowDocument]
    hold: str | None
    backlog: dict[str, int]
    drained_at: Moment | None
    drains: Annotated[dict[str, Moment], Field(description="When each priority is worked off.")]
    shape: Annotated[
        list[int], Field(description="Permits that come back by part of the longest window.")
    ]
    keys: Annotated[KeyAgesDocument | None, Field(description="For who may see keys.")]
    service: ServiceSummaryDocument | None


class DashboardDocument(Document):
    """The fleet at one moment. What cannot be read is null or empty, and `unknown` says why."""

    at: Moment
    attention: list[AttentionDocument]
    live_jobs: dict[str, int]
    backlog: Annotated[dict[str, int] | None, Field(description="Queued calls by priority.")]
    drained_at: Annotated[
        dict[str, Moment], Field(description="When each priority is worked off, as known.")
    ]
    stuck: Annotated[
        dict[str, int], Field(description="Calls queued for providers that take none.")
    ]
    providers: Annotated[list[ProviderLoadDocument], Field(description="The busiest.")]
    provider_count: int
    workers: int | None
    silent: Annotated[int | None, Field(description="Processes that have fallen silent.")]
    beats: int | None
    slots: int | None
    busy: int | None
    calls_since: Moment
    calls: int
    failed: int
    throttled: int
    unknown: list[str]

    @classmethod
    def of_board(cls, board: Dashboard) -> Self:
        """Return the document of a dashboard."""
        return cls(**board.as_dict())


class TimelineEntryDocument(Document):
    """What happened, or a wait of `seconds` that began at `at`, with whose `fault`."""

    at: Moment
    text: str
    tone: Literal["plain", "busy", "good", "warn", "bad"]
    call: int | None
    seconds: float | None
    fault: Literal["quota", "provider", "fleet", "person", "unknown"] | None


class TimelineDocument(Document):
    """What happened to a job, in order. Not `is_whole`: it has more calls than shown."""

    entries: list[TimelineEntryDocument]
    is_whole: bool

    @classmethod
    def of_job(cls, timeline: Timeline) -> Self:
        """Return the document of a timeline."""
        entries = [TimelineEntryDocument(**each.as_dict()) for each in timeline.entries]
        return cls(entries=entries, is_whole=timeline.is_whole)


class HeldSyncs(Document):
    """Held syncs that no later sync of their dataset has settled, the newest first."""

    jobs: list[JobDocument]


class DeletionsOrder(OrderDocument):
    """Which of the records to list, in order of their ids. `start` is the id of the first."""

    start: Annotated[str, Field(max_length=255)] = ""
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class DoomedDocument(Document):
    """A record that would be deleted: absent from the list, or marked as deleted."""

    sourced_id: str
    why: Literal["absent", "marked"]
    first_seen: Moment
    last_seen: Moment
    changed_at: Moment


class HeldDeletionsDocument(Document):
    """What a held sync would delete; the counts come with the first page. `next`: go on there."""

    job_id: str
    provider: str
    resource: str
    live: int | None
    absent: int | None
    marked: int | None
    records: list[DoomedDocument]
    next: str | None


class BulkActionOrder(OrderDocument):
    """All jobs that match a query, such as `state:failed provider:lincoln since:2h`."""

    query: Annotated[str, Field(max_length=500)]


class BulkRoundOrder(BulkActionOrder):
    """The jobs, and `after` of the round before; null begins."""

    after: Annotated[str | None, Field(max_length=100)] = None
    reason: Annotated[str | None, Field(max_length=500)] = None


class BulkReviewDocument(Document):
    """What an action would be done to. `query` finds the same jobs later, and no newer ones."""

    action: Literal["retry", "cancel"]
    query: str
    count: int
    is_capped: Annotated[bool, Field(description="There are more than were counted.")]
    by_state: dict[str, int]
    left_out: Annotated[dict[str, int], Field(description="In these states it is not possible.")]
    forbidden: Annotated[int, Field(description="Jobs that the caller may not touch.")]
    sample: list[JobDocument]

    @classmethod
    def of_review(cls, review: BulkReview) -> Self:
        """Return the document of a review."""
        sample = [JobDocument.of(each) for each in review.sample]
        return cls(**review.as_dict() | {"sample": sample})


class ConflictDocument(Document):
    """A job that was left as it is, and why."""

    job: str
    message: str


class BulkOutcomeDocument(Document):
    """How many jobs it was done to, and the conflicts. `after` begins the next round."""

    action: Literal["retry", "cancel"]
    done: int
    conflicts: list[ConflictDocument]
    after: str | None

    @classmethod
    def of_outcome(cls, outcome: BulkOutcome) -> Self:
        """Return the document of an outcome."""
        return cls(**outcome.as_dict())
