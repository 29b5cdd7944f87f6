"""Jobs as callers get to see them."""

from base64 import b64encode
from typing import Annotated, Literal, Self

from pydantic import Field

from sisgate.domain.priorities import PriorityName
from sisgate.domain.states import JobState
from sisgate.gateway import Answer, Hold, Job, JobStatus, Obstacle
from sisgate.web.schemas.document import Document, Json, Moment, OrderDocument
from sisgate.web.schemas.providers import BecauseOrder

OriginName = Literal["call", "shared", "stored"]


class AnswerDocument(Document):
    """The response of a provider. `body` is base64; `is_stale`: an old one."""

    job: str
    status: int
    headers: dict[str, str]
    body: Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]
    truncated: bool
    age_seconds: float | None
    is_stale: bool
    origin: OriginName

    @classmethod
    def of(cls, answer: Answer) -> Self:
        """Return the document of an answer."""
        return cls(
            job=answer.job_id, status=answer.status, headers=dict(answer.headers),
            body=b64encode(answer.body).decode(), truncated=answer.truncated,
            age_seconds=answer.age_seconds, is_stale=answer.is_stale, origin=answer.origin,
        )  # fmt: skip


class JobDocument(Document):
    """A job. `calls` counts its calls by state; lists leave it empty."""

    id: str
    kind: Literal["sync", "request"]
    state: JobState
    app: str
    provider: str
    resource: str | None
    priority: PriorityName
    mode: str | None
    accepted_at: Moment
    started_at: Moment | None
    ended_at: Moment | None
    expires_at: Moment | None
    complete: Annotated[
        bool | None, Field(description="Whether a sync read the whole dataset; null before its end")
    ]
    note: str | None
    error: Json | None
    dead: Annotated[bool, Field(description="sisgate gave it up.")]
    retried_as: str | None
    rows_seen: int
    inserted: int
    updated: int
    deleted: int
    calls_made: int
    throttled: int
    calls: dict[str, int]
    shared: Annotated[int, Field(description="Further requests that its call answered.")]
    trace: Annotated[str | None, Field(description="The id of the trace that it belongs to.")]
    settled_by: Annotated[
        str | None, Field(description="The later sync that decided on a held one's deletions.")
    ]
    settled_at: Moment | None
    progress: Annotated[float, Field(description="The share of its planned calls that ended.")]
    is_final: Annotated[bool, Field(description="Whether it has ended.")]


class AcceptedJob(JobDocument):
    """A job that was accepted, or an earlier one in its place.

    `is_new` is false for a repeated idempotency key; `age_seconds` is the age of old data that
    replaces a new job; `is_stale`: because the provider takes no calls. `answer` is the provider's
    response, if the caller waited for it.
    """

    is_new: bool
    age_seconds: float | None
    is_stale: bool
    origin: Annotated[
        OriginName, Field(description="Whether another job's call, or a stored answer, answers it.")
    ]
    answer: AnswerDocument | None = None

    @classmethod
    def accepted(cls, job: Job, status: JobStatus, answer: Answer | None) -> Self:
        """Return the document of an accepted job."""
        return cls(
            **status.as_dict(), is_new=job.is_new, age_seconds=job.age_seconds,
            is_stale=job.is_stale, origin=job.origin,
            answer=AnswerDocument.of(answer) if answer is not None else None,
        )  # fmt: skip


class JobReference(Document):
    """One job of many that were accepted together."""

    id: str
    is_new: bool


class BulkResult(Document):
    """The jobs, in the order of the items."""

    jobs: list[JobReference]


class SyncResultDocument(Document):
    """One dataset of one provider: the `job` of its sync, or the `error` why it was refused."""

    provider: str
    resource: str
    job: str | None
    is_new: bool
    error: Json | None


class ManySyncsResult(Document):
    """What became of each dataset."""

    syncs: list[SyncResultDocument]


class StatusesOrder(OrderDocument):
    """The ids of jobs."""

    ids: Annotated[list[Annotated[str, Field(max_length=36)]], Field(max_length=500)]


class JobsDocument(Document):
    """Jobs, in the order that was asked for."""

    jobs: list[JobDocument]


class JobPage(Document):
    """The newest jobs first. `next` is the cursor of the next page, null at the end."""

    jobs: list[JobDocument]
    next: str | None


class DeadLetterDocument(JobDocument):
    """A job that was given up, with the most tries and lost workers of any of its calls."""

    tries: int
    lost_workers: int


class DeadLetters(Document):
    """Jobs given up and not retried since, the oldest first."""

    jobs: list[DeadLetterDocument]


class WaitDocument(Document):
    """What a job waits for, and until when."""

    reason: str
    until: Moment | None
    by_hand: bool
    failure: str | None
    obstacles: list[Obstacle]
    hold: Hold | None


class FoundJob(Document):
    """The one visible job whose id begins so."""

    id: str


class WaitsFor(Document):
    """What a job waits for; null if it has ended or a call is under way."""

    wait: WaitDocument | None


class Resolution(BecauseOrder):
    """How a job of unknown outcome is settled."""

    resolution: Literal["done", "failed", "retry"]
