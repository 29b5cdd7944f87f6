"""The facts that a verdict is judged by: a snapshot of one moment. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sisgate.admission.state import LimiterState
from sisgate.breakers.spec import BreakerView, State
from sisgate.domain.certificates import EndingCertificate
from sisgate.domain.links import Link
from sisgate.domain.rates import Rate
from sisgate.domain.response_class import Outcome, ResponseClass, of_status
from sisgate.domain.states import JobState
from sisgate.liveness.obstacles import Obstacle
from sisgate.verdict.unattended import (
    FailedSync,
    FailingReceiver,
    FeedReader,
    HeldSync,
    RefusedCaller,
    Unsettled,
)

RECENT_SECONDS = 600.0
"""How far back the calls reach that tell how a provider is now."""


@dataclass(frozen=True, slots=True)
class ByHand:
    """Something that a person set: who, when, why, and until when. None where unknown or open."""

    actor: str | None = None
    at: datetime | None = None
    reason: str | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class RecentCall:
    """A call that ended lately: whose it was, and its status; None for no answer.

    `part` is what it was about: a dataset, or the method of a request. `endpoint` is the one that
    was called, or called last. `is_page`: a request was answered by a page for people. `link` is
    where it broke off; before `ANSWER` it was not sent.
    """

    app: str
    status: int | None
    seconds_ago: float
    part: str = ""
    endpoint: str | None = None
    link: Link = Link.ANSWER
    is_page: bool = False

    @property
    def failed(self) -> bool:
        """Whether the provider failed it."""
        return of_status(self.status).rule.breaker is Outcome.FAILURE

    @property
    def succeeded(self) -> bool:
        """Whether the provider answered it as asked."""
        return of_status(self.status) is ResponseClass.DONE


@dataclass(frozen=True, slots=True)
class AppBacklog:
    """One app's calls that wait, by priority. `oldest_seconds` is how long the oldest has.

    `oldest` is that by priority. `queued` is by priority how long the oldest of those has waited
    that any worker may take: the others wait for their next try, or for their job.
    """

    app: str
    by_priority: Mapping[int, int]
    oldest_seconds: float
    oldest: Mapping[int, float] = field(default_factory=dict)
    queued: Mapping[int, float] = field(default_factory=dict)

    @property
    def queued_seconds(self) -> float | None:
        """How long the oldest call has waited that a worker may take, None if there is none."""
        return max(self.queued.values(), default=None)

    @property
    def calls(self) -> int:
        """How many calls wait."""
        return sum(self.by_priority.values())


@dataclass(frozen=True, slots=True)
class MetError:
    """An error that a call or job met: `code`, `status` and `message` as the ledger has them.

    `seconds_ago` is when the job ended, None for a call that waits to be tried again. `link` is
    where it broke off: before `ANSWER` nothing can have reached the provider's API. `tls` is
    the name of a `TlsFault`; `resource` is the dataset that it is about, `broke_off` whether an
    answer had begun, `fresh_token` whether a token that was new was refused as expired.
    """

    code: str
    message: str
    status: int | None = None
    seconds_ago: float | None = None
    job: str | None = None
    link: Link = Link.ANSWER
    tls: str | None = None
    resource: str | None = None
    broke_off: bool = False
    fresh_token: bool = False


@dataclass(frozen=True, slots=True)
class TimedCall:
    """How long a call took at the provider, and what we added ourselves, in seconds."""

    seconds: float
    own_seconds: float = 0.0
    part: str = ""
    endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """The calls of the last minutes, and those before them, by which it is known what is usual."""

    recent: Sequence[TimedCall] = ()
    usual: Sequence[TimedCall] = ()

    def of(self, part: str | None = None, endpoint: str | None = None) -> Timing:
        """Return the calls about one part, or to one endpoint."""

        def is_meant(call: TimedCall) -> bool:
            return call.part == part if part is not None else call.endpoint == endpoint

        return Timing(*(list(filter(is_meant, calls)) for calls in (self.recent, self.usual)))


@dataclass(frozen=True, slots=True)
class KeyStanding:
    """One usable key. `expires_in_seconds` is None if it never does, or nobody knows.

    `rotation_failure` is why the last rotation of its slot brought no new key, None if it did.
    """

    id: str
    slot: str
    expires_in_seconds: float | None = None
    suspect_seconds: float | None = None
    rotation_failure: str | None = None


@dataclass(frozen=True, slots=True)
class ServingWorker:
    """A live worker of a provider."""

    name: str
    slots: int
    busy: int


@dataclass(frozen=True, slots=True)
class ProviderFacts:
    """What is known of one provider. What only Redis or the ledger knows is empty without it.

    `resumed_seconds` is how long ago the last pause ended, None while it is paused, or if it never
    was. `configured` are its limits as configured, `usage` the calls of each app in the longest
    window, of which the provider failed `failed_usage`.
    `recent` are the calls that ended lately, newest first. `running_seconds` are the ages of the
    calls under way, oldest first, of which `lost` are those that no live worker has.
    `jobs_waiting` is None where they are fewer than `max_waiting_jobs`. `gave_data`: before those
    calls it answered requests by data, known if it gives only pages lately.
    """

    name: str
    host: str = ""
    configured: Sequence[Rate] = ()
    limiter: LimiterState | None = None
    queued: Mapping[int, int] = field(default_factory=dict)
    pause: ByHand | None = None
    resumed_seconds: float | None = None
    pin: ByHand | None = None
    limits_set: ByHand | None = None
    breakers: Sequence[BreakerView] = ()
    recent: Sequence[RecentCall] = ()
    usage: Mapping[str, int] = field(default_factory=dict)
    failed_usage: int = 0
    backlog: Sequence[AppBacklog] = ()
    met: Sequence[MetError] = ()
    timing: Timing = Timing()
    slow_seconds: float = 60.0
    keys: Sequence[KeyStanding] = ()
    warn_before_seconds: float = 0.0
    certificates: Sequence[EndingCertificate] = ()
    gave_data: bool = False
    held: Sequence[HeldSync] = ()
    unsettled: Unsettled | None = None
    jobs_waiting: int | None = None
    max_waiting_jobs: int = 0
    failed_syncs: Sequence[FailedSync] = ()
    workers: Sequence[ServingWorker] = ()
    running_seconds: Sequence[float] = ()
    lost: int = 0
    obstacles: Sequence[Obstacle] = ()

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return sum(each.calls for each in self.backlog)

    @property
    def free_seconds(self) -> float | None:
        """How long ago a pause or an outage ended that held all its calls; None for neither."""
        closed = [each.closed_seconds for each in self.breakers if each.state is State.CLOSED]
        recovered = (
            [] if None in closed else [max((e for e in closed if e is not None), default=None)]
        )
        return min((e for e in (self.resumed_seconds, *recovered) if e is not None), default=None)

    @property
    def is_tighter(self) -> bool:
        """Whether a limit set by hand allows fewer calls in the long run than configured."""
        return self._pace_by_hand < 0

    @property
    def is_looser(self) -> bool:
        """Whether a limit set by hand allows more calls in the long run than configured."""
        return self._pace_by_hand > 0

    @property
    def _pace_by_hand(self) -> float:
        """How many more calls a second the limit set by hand allows; 0 if none is set."""
        limiter = self.limiter
        if limiter is None or not limiter.overridden or not self.configured:
            return 0.0
        pace = min((each.rate.per_second for each in limiter.windows), default=0.0)
        return pace - min(each.per_second for each in self.configured)


@dataclass(frozen=True, slots=True)
class JobFacts:
    """One job. `running` and `lost` count its calls under way and those that no worker has.

    `retry_in_seconds` is set if all its calls wait for a next try, with the error in `met`;
    0 for one that is due.
    `error` is what it ended with; `cancelled` is who cancelled it, None if nobody did;
    `tried` is whether any of its calls was ever sent, `incomplete` whether it is a sync that is
    done and could not read all, `page` what is said of an answer that is a page,
    `answer` what has become of one that is not stored any more. `settled_by` is
    what has settled it since if it was held, and when.
    """

    id: str
    provider: str
    resource: str | None
    app: str
    priority: int
    state: JobState
    age_seconds: float
    error: Mapping[str, Any] | None = None
    note: str | None = None
    ended_seconds_ago: float | None = None
    tried: bool = False
    incomplete: bool = False
    cancelled: ByHand | None = None
    settled_by: tuple[str, datetime] | None = None
    page: str | None = None
    answer: str | None = None
    running: int = 0
    lost: int = 0
    retry_in_seconds: float | None = None
    met: MetError | None = None


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """One dataset: its last sync, and how old its records are; None for never read.

    `missed_seconds` is how long ago a schedule was due that has not been fulfilled, None for none.
    `schedules` are those that read it, `former_schedule` is one that read it last and does no more.
    `fresh_seconds` is how old its data may be by its objective, `next_read_seconds` when a schedule
    reads it next. `readers` are the apps that follow its feed.
    """

    provider: str
    resource: str
    last: JobFacts | None = None
    age_seconds: float | None = None
    held: HeldSync | None = None
    absent: MetError | None = None
    missed_seconds: float | None = None
    schedules: Sequence[str] = ()
    former_schedule: str | None = None
    fresh_seconds: float | None = None
    next_read_seconds: float | None = None
    readers: Sequence[FeedReader] = ()


@dataclass(frozen=True, slots=True)
class Host:
    """How many seconds ago a host answered last, and since when it gives no answer."""

    name: str
    answered_seconds_ago: float | None = None
    failed_seconds_ago: float | None = None


@dataclass(frozen=True, slots=True)
class FleetFacts:
    """Everything at one moment: the fleet's obstacles, and the providers that were asked for.

    `hosts` are those of all providers that were called lately. `ledger_seconds` is how
    long a round trip to the ledger took. `running_seconds` are by provider the ages of the calls
    under way, of all providers, oldest first. `quarantined` counts by queue the messages that no
    worker could handle, `receivers` are webhooks that are not delivered. `free_bytes` are those of
    the disk of the data folder, None where neither Redis nor the ledger is in it.
    """

    at: datetime
    obstacles: Sequence[Obstacle] = ()
    providers: Sequence[ProviderFacts] = ()
    hosts: Sequence[Host] = ()
    ledger_seconds: float | None = None
    running_seconds: Mapping[str, Sequence[float]] = field(default_factory=dict)
    quarantined: Mapping[str, int] = field(default_factory=dict)
    receivers: Sequence[FailingReceiver] = ()
    refused_callers: Sequence[RefusedCaller] = ()
    free_bytes: int | None = None

    def answering(self, host: str) -> int:
        """Return how many other hosts have answered since a host began to give no answer."""
        own = next((each for each in self.hosts if each.name == host), None)
        since = own.failed_seconds_ago if own is not None else None
        if since is None:
            return 0
        return sum(
            1
            for each in self.hosts
            if each.name != host
            and each.answered_seconds_ago is not None
            and each.answered_seconds_ago <= since
        )

    @property
    def silent(self) -> int:
        """How many hosts give no answer."""
        return sum(1 for each in self.hosts if each.failed_seconds_ago is not None)
