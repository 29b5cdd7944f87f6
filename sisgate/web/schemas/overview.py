"""The fleet at a glance, a job's timeline, and actions on many jobs."""

from typing import Annotated, Literal

from pydantic import Field

from sisgate.gateway import Attention
from sisgate.gateway.provider_load import KeyAges, ServiceSummary
from sisgate.web.schemas.document import Document, Moment, OrderDocument
from sisgate.web.schemas.jobs import JobDocument
from sisgate.web.schemas.providers import WindowDocument


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
    keys: Annotated[KeyAges | None, Field(description="For who may see keys.")]
    service: ServiceSummary | None


class DashboardDocument(Document):
    """The fleet at one moment. What cannot be read is null or empty, and `unknown` says why."""

    at: Moment
    attention: list[Attention]
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


class HeldSyncs(Document):
    """Held syncs that no later sync of their dataset has settled, the newest first."""

    jobs: list[JobDocument]


class DeletionsOrder(OrderDocument):
    """Which of the records to list, in order of their ids. `start` is the id of the first."""

    start: Annotated[str, Field(max_length=255)] = ""
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


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
