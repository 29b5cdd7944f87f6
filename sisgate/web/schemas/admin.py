"""What operators and admins see and order: tokens, schedules, quarantine, retention, diagnosis."""

from typing import Annotated, Literal, Self

from pydantic import Field

from sisgate.gateway import DiagnosticResult, Liveness, Obstacle
from sisgate.web.schemas.document import Document, Json, Moment, OrderDocument
from sisgate.web.schemas.providers import Reason

Days = Annotated[float, Field(gt=0, le=36_500)]


class CallerDocument(Document):
    """Who asks. `app` owns the jobs that it enqueues without naming an app."""

    name: str
    app: str
    roles: list[str]
    scopes: list[str]


class TokenOrder(OrderDocument):
    """A new token. `days` null: it never expires."""

    name: Annotated[str, Field(max_length=100, examples=["gradebook"])]
    roles: Annotated[
        list[Literal["app", "viewer", "operator", "admin", "sight"]], Field(min_length=1)
    ]
    scopes: Annotated[list[str], Field(min_length=1, max_length=1000)] = Field(
        default_factory=lambda: ["*"]
    )
    days: Days | None = 365
    reason: Reason = None


class RotationOrder(OrderDocument):
    """A token's replacement; the old one stays valid for some hours."""

    overlap_hours: Annotated[float, Field(ge=0, le=24 * 365)] = 24
    days: Days | None = 365
    reason: Reason = None


class TokenDocument(Document):
    """A token. `token` is its secret, only from the call that makes it."""

    id: str
    name: str
    roles: list[str]
    scopes: list[str]
    state: str
    created_at: Moment
    created_by: str
    expires_at: Moment | None
    last_used_at: Moment | None
    revoked_at: Moment | None
    token: str | None = None


class TokensDocument(Document):
    """Tokens without their secrets."""

    tokens: list[TokenDocument]


class ScheduleDocument(Document):
    """A schedule, its next occurrence, and the newest job of each dataset.

    It is of one `provider`, or of those that `where` selects.
    """

    name: str
    provider: str | None
    where: dict[str, str] | None
    resources: list[str]
    is_whole: Annotated[bool, Field(description="No resources are configured: it syncs all.")]
    when: str
    in_words: Annotated[str, Field(description="When, in words.")]
    cron: str | None
    window_seconds: float
    mode: str
    priority: str
    next_at: Moment | None
    starts: Annotated[dict[str, Moment], Field(description="The next start of each provider.")]
    jobs: list[Json]


class SchedulesDocument(Document):
    """The schedules that the caller may see."""

    schedules: list[ScheduleDocument]


class MessageDocument(Document):
    """A message that no worker could handle, without its content."""

    id: str
    at: Moment | None
    queue: str
    reason: str
    task: str | None
    bytes: int
    whole: bool


class MessageDetails(MessageDocument):
    """The same with the outline of its content, which holds no values."""

    outline: Json | list[Json] | str | None


class ContentDocument(Document):
    """The stored beginning of a message, in base64. It may hold anything."""

    content: Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]


class MessagesDocument(Document):
    """The quarantine, newest first."""

    messages: list[MessageDocument]


class RequeuedDocument(Document):
    """The queue that has the message again."""

    queue: str


class DiagnosisOrder(OrderDocument):
    """`provider`: ask only that one. `probe`: also make a call to each, at the cost of a permit."""

    provider: Annotated[str | None, Field(max_length=63)] = None
    probe: bool = False


class DiagnosisDocument(Document):
    """The checks of `sisgate doctor`, from where the service runs, in their order."""

    checks: list[DiagnosticResult]


class RetentionDocument(Document):
    """What one rule deletes, or would: rows by table. Not `finished`: time ran out."""

    rule: str
    setting: str
    keep_seconds: Annotated[float | None, Field(description="null: for ever")]
    before: Moment | None
    rows: dict[str, int]
    finished: bool


class RetentionResults(Document):
    """The result of each rule."""

    rules: list[RetentionDocument]


class RetentionOrder(OrderDocument):
    """Deletion of what is past its retention, for at most some seconds."""

    seconds: Annotated[float, Field(gt=0, le=60)] = 20


class ProcessDocument(Document):
    """A worker or beat, by its last heartbeat."""

    kind: str
    host: str
    pid: int
    name: str
    version: str
    queues: list[str]
    slots: int
    busy: int
    configuration: int
    is_alive: bool
    age_seconds: float


class FleetDocument(Document):
    """The processes, null while Redis is away, and what keeps jobs from running."""

    processes: list[ProcessDocument] | None
    obstacles: list[Obstacle]

    @classmethod
    def of(cls, liveness: Liveness) -> Self:
        """Return the document of the fleet."""
        processes = liveness.fleet and liveness.fleet.processes
        return cls(processes=processes, obstacles=liveness.obstacles)
