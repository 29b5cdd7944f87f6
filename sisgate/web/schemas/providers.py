"""Providers: their state, and what can be changed while the fleet runs."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal, Self

from pydantic import Base64Bytes, BeforeValidator, Field

from sisgate.gateway import (
    AbsentDataset,
    Hold,
    LimiterState,
    Obstacle,
    Overview,
    PriorityQueue,
    TransformTrial,
    Usage,
)
from sisgate.gateway.overview import limiter_values
from sisgate.web.schemas.document import Document, Json, Moment, OrderDocument


class TransformOrder(OrderDocument):
    """A request, and perhaps the body of a response to it (base64), that transforms change."""

    method: str = "GET"
    path: str
    query: dict[str, str] | list[tuple[str, str]] | None = None
    payload: Annotated[Any, Field(alias="json", description="Sent as JSON.")] = None
    body: Annotated[Base64Bytes | None, Field(description="Instead of `json`; base64.")] = None
    headers: dict[str, str] | None = None
    name: Annotated[str | None, Field(description="Null: the first that fits.")] = None
    status: Annotated[int, Field(ge=100, le=599)] = 200
    response: Annotated[
        Base64Bytes | None, Field(description="The body of a response; base64.")
    ] = None
    response_headers: Annotated[
        dict[str, str] | None, Field(description="Null: those of JSON.")
    ] = None


class TransformedDocument(Document):
    """Headers and body (base64) of a response after a transform."""

    headers: dict[str, str]
    body: Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]


class TrialDocument(Document):
    """What a transform makes of the request, and of the response if one was given."""

    transform: str
    request: Json
    response: TransformedDocument | None

    @classmethod
    def of(cls, trial: TransformTrial) -> Self:
        """Return the document of a trial."""
        done = trial.response
        response = done and TransformedDocument(
            headers=dict(done.headers), body=b64encode(done.body).decode()
        )
        return cls(transform=trial.rule, request=dict(trial.request), response=response)


class WindowDocument(Document):
    """A limit and its use; calls in flight count."""

    limit: str
    used: int
    left: int


class EndpointPlace(Document):
    """The base URL of an endpoint, and its weight."""

    url: str
    weight: float


class EndpointDocument(Document):
    """One endpoint: its breaker, and its state in routing."""

    number: int
    endpoint: str
    state: Literal["closed", "open", "half-open"]
    wait_seconds: Annotated[float | None, Field(description="null: until somebody releases it")]
    since: Moment | None
    pinned: bool
    pinned_until: Moment | None
    calls: int
    failures: int
    slow: int
    failures_in_a_row: int
    openings: int
    ejected: bool
    unwell: bool
    checked_seconds: float | None


class ExplainedHold(Document):
    """Why a provider takes no calls, and when the next one is made; the same as a sentence."""

    reason: Literal["breaker", "paused", "blocked"]
    next_probe_at: Moment | None
    by_hand: bool
    failure: str | None
    explanation: str


class QueueDocument(Document):
    """What waits with one priority, and when one more job would start; null while unknown."""

    priority: str
    messages: int
    starts_at: Moment | None


class LimiterDocument(Document):
    """The limits in force and their use. What only Redis knows is null while it is away."""

    known: Annotated[bool, Field(description="False until the limiter knows its past.")]
    overridden: Annotated[bool, Field(description="Whether limits were set at run time.")]
    windows: Annotated[list[WindowDocument], Field(description="The limits in force.")]
    in_flight: int | None
    factor: Annotated[float | None, Field(description="The adaptive factor of the pace.")]
    blocked_seconds: float | None
    block_reason: str | None
    paused_until: Annotated[str | None, Field(description="A time, or `until resumed`.")]
    next_permit_in_seconds: dict[str, float]
    waiting_for: Annotated[dict[str, str], Field(description="Why the next permit must wait.")]

    @classmethod
    def of_state(cls, state: LimiterState) -> Self:
        """Return the document of what a limiter knows."""
        return cls(**limiter_values(state))


class ProviderDocument(LimiterDocument):
    """One provider. What only Redis knows is null or empty while it is away."""

    name: str
    kind: str
    pool: str | None
    limits: Annotated[list[str], Field(description="As configured.")]
    burst: int | None
    waiting: Annotated[int | None, Field(description="Messages in its queue.")]
    held: Annotated[bool, Field(description="Whether no endpoint may be called.")]
    endpoints: list[EndpointPlace]
    breakers: Annotated[list[EndpointDocument], BeforeValidator(lambda known: known or ())]
    obstacles: list[Obstacle]
    workers: Annotated[list[str] | None, Field(description="Which serve it now.")]
    keys: Annotated[list[str] | None, Field(description="Slots with an active key.")]
    keys_refused: Annotated[list[str], Field(description="Slots whose key it refuses.")]
    auth: str
    token_url: str | None
    base_path: str | None
    resources: list[str]
    absent: list[AbsentDataset] | None = None


class ProviderDetails(ProviderDocument):
    """One provider, with why no call is made and what waits. Both are null while Redis is away.

    `unknown` says which parts of its state are, `periodic` what keeps periodic tasks from running.
    """

    hold: ExplainedHold | None
    queue: list[QueueDocument] | None
    unknown: list[str]
    periodic: list[Obstacle]


class WindowShape(Document):
    """The longest window in equal parts, from now to its end: permits that come back in each."""

    permits: list[int]


class ProvidersDocument(Document):
    """The providers that the caller may see; `unknown` says which parts of their state are.

    `periodic` is what keeps periodic tasks from running. `count` is of all that match, `pages` how
    many there are, `kinds` and `pools` of all; they are null without a `page`.
    """

    providers: list[ProviderDocument]
    unknown: list[str]
    periodic: Annotated[list[Obstacle], Field(default_factory=list)]
    count: int | None = None
    page: int | None = None
    pages: int | None = None
    kinds: list[str] | None = None
    pools: list[str] | None = None


def details_of(
    overview: Overview, hold: Hold | None, queue: Sequence[PriorityQueue] | None
) -> ProviderDetails:
    """Return everything about the one provider of an overview."""
    (provider,) = overview.providers
    why = hold and {**asdict(hold), "explanation": hold.explanation(provider.name)}
    return ProviderDetails(
        **provider.as_dict(), hold=why, queue=queue,
        unknown=overview.unknown, periodic=overview.periodic,
    )  # fmt: skip


class UsagePage(Document):
    """Calls by provider and app."""

    usage: list[Usage]


Reason = Annotated[str | None, Field(max_length=500, description="For the audit log.")]


class LimitsOrder(OrderDocument):
    """The limits of a provider, such as `500/h`; null restores the configured ones."""

    limits: Annotated[list[str] | None, Field(max_length=8, examples=[["500/h"]])]
    reason: Reason = None


class PauseOrder(OrderDocument):
    """A pause until a time, or until somebody resumes."""

    until: Moment | None = None
    reason: Reason = None


class BecauseOrder(OrderDocument):
    """A change that needs no more than its reason."""

    reason: Reason = None


class BreakerOrder(OrderDocument):
    """Breakers pinned by hand, all or of one endpoint (number, host or URL), until a time."""

    state: Literal["open", "close", "half-open", "auto"]
    endpoint: str | None = None
    until: Moment | None = None
    reason: Reason = None


class ChangeDocument(Document):
    """A change that is stored. `holds_now` is false while Redis, and so the fleet, lacks it."""

    changed: bool
    holds_now: bool


class BreakersDocument(Document):
    """The endpoints of a provider: breakers, and state in routing."""

    endpoints: list[EndpointDocument]


class NamesDocument(Document):
    """The names of the providers that the caller may see."""

    names: list[str]


class BreakersChanged(ChangeDocument):
    """A change of breakers, with the URLs of the endpoints that it changed."""

    endpoints: list[str]
