"""Collects the facts that a verdict is judged by, from the ledger and Redis."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from sisgate.clock import Clock
from sisgate.domain.priorities import Priority
from sisgate.domain.states import KeyState
from sisgate.errors import BrokerUnavailable, DatabaseUnavailable
from sisgate.gateway.core import Core
from sisgate.gateway.liveness import Liveness, read_liveness
from sisgate.ledger import controls, recent_work
from sisgate.ledger.keys import USABLE, list_keys
from sisgate.ledger.recent_work import Contact, ErrorRow, RunningAttempt, WaitingCalls
from sisgate.ledger.schema import Control, Job, Key
from sisgate.liveness.heartbeats import EVERY_SECONDS
from sisgate.liveness.obstacles import Cause, ledger_unreachable
from sisgate.redis.queues import list_lengths
from sisgate.settings import ProviderConfig
from sisgate.verdict.facts import (
    RECENT_SECONDS,
    AppBacklog,
    ByHand,
    FleetFacts,
    HeldSync,
    Host,
    KeyStanding,
    MetError,
    ProviderFacts,
    RecentCall,
    ServingWorker,
    Timing,
)

RECENT = timedelta(seconds=RECENT_SECONDS)

Row = TypeVar("Row", WaitingCalls, ErrorRow, Job, RunningAttempt, Key)

NameOf = Callable[[str], str]
"""Returns how an app is named for the caller, who may see only one."""


@dataclass
class _Ledger:
    """What the ledger knows of all providers asked for; empty while it is away."""

    controls: Mapping[str, Control] = field(default_factory=dict)
    contacts: Mapping[str, Contact] = field(default_factory=dict)
    waiting: Mapping[str, Sequence[WaitingCalls]] = field(default_factory=dict)
    failed: Mapping[str, Sequence[ErrorRow]] = field(default_factory=dict)
    held: Mapping[str, Sequence[Job]] = field(default_factory=dict)
    running: Mapping[str, Sequence[RunningAttempt]] = field(default_factory=dict)
    keys: Mapping[str, Sequence[Key]] = field(default_factory=dict)
    error: str | None = None
    seconds: float | None = None


def read_facts(core: Core, names: Sequence[str], name_of: NameOf) -> FleetFacts:
    """Return the facts of some providers and of the fleet.

    What is away is a fact, not an error; that a provider is not configured, too.
    """
    liveness = read_liveness(core.context, names)
    ledger = _read_ledger(core, names)
    if ledger.error is not None and not any(_is_of_ledger(e.cause) for e in liveness.obstacles):
        unreachable = ledger_unreachable(ledger.error)
        liveness = replace(liveness, obstacles=[*liveness.obstacles, unreachable])
    now = core.clock.now()
    fleet = FleetFacts(
        now,
        liveness.obstacles,
        hosts=_hosts(core, ledger, now),
        ledger_seconds=ledger.seconds,
        redis_seconds=_redis_seconds(core),
    )
    reader = _Reader(core, liveness, ledger, fleet.at, name_of, is_alone=len(names) == 1)
    return replace(fleet, providers=[reader.provider(name) for name in names])


def met_error(row: ErrorRow, now: datetime, name_of: NameOf) -> MetError:
    """Return an error of the ledger as a fact."""
    error = row.error
    return MetError(
        app=name_of(row.app),
        code=str(error.get("code", "")),
        message=str(error.get("message", "")),
        status=error.get("status"),
        seconds_ago=(now - row.at).total_seconds() if row.at is not None else None,
        job=row.job,
        resource=row.resource,
        cause=error.get("cause"),
        at_token_endpoint=error.get("step") == "token",
        sent=error.get("sent") is not False,
        by_proxy="proxy_status" in error,
    )


def held_sync(job: Job, now: datetime) -> HeldSync:
    """Return a held sync as a fact."""
    ended = job.ended_at or now
    return HeldSync(job.id, job.resource or "", (now - ended).total_seconds(), job.note)


def lost_among(liveness: Liveness, running: Sequence[RunningAttempt], now: datetime) -> int:
    """Return how many calls under way no live worker has.

    A call younger than two heartbeats may not have been told of, and a worker of an older version
    tells of none.
    """
    if liveness.fleet is None:
        return 0
    alive = [each for each in liveness.fleet.processes if each.is_alive and each.kind == "worker"]
    if any(each.calls is None for each in alive):
        return 0
    held = {call for each in alive for call in each.calls or ()}
    told = now - timedelta(seconds=2 * EVERY_SECONDS)
    return sum(1 for each in running if each.started_at < told and each.call not in held)


def _is_of_ledger(cause: Cause) -> bool:
    return cause in {Cause.LEDGER_UNREACHABLE, Cause.SCHEMA_BEHIND}


def _read_ledger(core: Core, names: Sequence[str]) -> _Ledger:
    begun = core.clock.monotonic()
    try:
        with core.database.read() as session:
            asked = names if len(names) == 1 else None
            since = core.clock.now() - RECENT
            ledger = _of_session(session, since, asked)
            ledger.seconds = _trip(core.clock, session)
    except DatabaseUnavailable as error:
        return _Ledger(error=error.message, seconds=core.clock.monotonic() - begun)
    return ledger


def _trip(clock: Clock, session: Session) -> float:
    begun = clock.monotonic()
    recent_work.ping(session)
    return clock.monotonic() - begun


def _of_session(session: Session, since: datetime, asked: Sequence[str] | None) -> _Ledger:
    return _Ledger(
        controls={each.provider: each for each in controls.all_set(session)},
        contacts=recent_work.contacts(session, since),
        waiting=_by_provider(recent_work.waiting(session, asked)),
        failed=_by_provider(recent_work.failed_jobs(session, since, asked)),
        held=_by_provider(recent_work.held_syncs(session, asked)),
        running=_by_provider(recent_work.running(session, asked)),
        keys=_by_provider(list_keys(session, asked[0] if asked else None)),
    )


def _by_provider(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.provider].append(row)
    return found


def _redis_seconds(core: Core) -> float | None:
    begun = core.clock.monotonic()
    try:
        core.redis.ping()
    except BrokerUnavailable:
        return None
    return core.clock.monotonic() - begun


def _hosts(core: Core, ledger: _Ledger, now: datetime) -> list[Host]:
    """Return the hosts that were called lately; one with several providers answers for all."""
    configs = core.configuration.current().providers
    found: dict[str, Host] = {}
    for name, contact in ledger.contacts.items():
        host = _host(configs[name]) if name in configs else name
        answered = _ago(contact.answered_at, now)
        before = found.get(host)
        if before is not None and before.answered_seconds_ago is not None:
            answered = min(answered or before.answered_seconds_ago, before.answered_seconds_ago)
        failed = _ago(contact.failed_at, now)
        if before is not None and before.failed_seconds_ago is not None:
            failed = max(failed or 0.0, before.failed_seconds_ago)
        if failed is not None and answered is not None and answered < failed:
            # Another provider of the same host has answered since.
            failed = None
        found[host] = Host(host, answered, failed)
    return list(found.values())


def _ago(at: datetime | None, now: datetime) -> float | None:
    return None if at is None else (now - at).total_seconds()


def _host(config: ProviderConfig) -> str:
    return urlsplit(config.endpoints[0].url).hostname or config.name


class _Reader:
    """Reads the facts of one provider after the other."""

    def __init__(
        self,
        core: Core,
        liveness: Liveness,
        ledger: _Ledger,
        now: datetime,
        name_of: NameOf,
        *,
        is_alone: bool,
    ) -> None:
        self._core = core
        self._liveness = liveness
        self._ledger = ledger
        self._now = now
        self._name_of = name_of
        self._is_alone = is_alone

    def provider(self, name: str) -> ProviderFacts:
        """Return all that is known of a provider."""
        ledger, config = self._ledger, self._core.configuration.current().providers.get(name)
        obstacles = [each for each in self._liveness.obstacles if each.provider in {None, name}]
        if config is None:
            return ProviderFacts(name, obstacles=obstacles)
        running = ledger.running.get(name, ())
        facts = ProviderFacts(
            name=name,
            host=_host(config),
            configured=config.windows,
            slow_seconds=config.breaker.slow_seconds,
            needs_key=config.auth_method != "none",
            keys=[self._key(key) for key in ledger.keys.get(name, ()) if key.state in USABLE],
            warn_before_seconds=config.rotation.warn_before.total_seconds(),
            held=[held_sync(job, self._now) for job in ledger.held.get(name, ())],
            workers=self._workers(name),
            backlog=self._backlog(name),
            running_seconds=[(self._now - each.started_at).total_seconds() for each in running],
            lost=lost_among(self._liveness, running, self._now),
            obstacles=obstacles,
        )
        facts = self._set_by_hand(facts)
        if not (self._is_alone or self._is_at_work(facts)):
            # Of thousands most are idle: what their limiters and breakers say hurts nobody.
            return facts
        facts = self._with_calls(facts)
        with suppress(BrokerUnavailable):
            return self._with_redis(facts, config)
        return facts

    def _is_at_work(self, facts: ProviderFacts) -> bool:
        ledger, name = self._ledger, facts.name
        is_set = facts.pause or facts.pin or facts.limits_set
        return bool(
            is_set
            or facts.backlog
            or facts.running_seconds
            or name in ledger.contacts
            or name in ledger.failed
        )

    def _set_by_hand(self, facts: ProviderFacts) -> ProviderFacts:
        control = self._ledger.controls.get(facts.name)
        if control is None:
            return facts
        is_paused = control.paused and (
            control.paused_until is None or control.paused_until > self._now
        )
        return replace(
            facts,
            pause=_by_hand(control, "pause", control.paused_until) if is_paused else None,
            pin=_by_hand(control, "breaker", None) if control.pins else None,
            limits_set=_by_hand(control, "limits", None) if control.windows else None,
        )

    def _with_calls(self, facts: ProviderFacts) -> ProviderFacts:
        name, since = facts.name, self._now - RECENT
        longest = max((rate.period_seconds for rate in facts.configured), default=RECENT_SECONDS)
        try:
            with self._core.database.read() as session:
                ended = recent_work.ended_attempts(session, name, since)
                errors = recent_work.errors_of_waiting(session, name)
                window = self._now - timedelta(seconds=longest)
                usage = recent_work.calls_by_app(session, name, window)
                recent = recent_work.latencies(session, name, since)
                usual = recent_work.latencies(session, name, None, since)
        except DatabaseUnavailable:
            return facts
        errors += self._ledger.failed.get(name, [])
        sums: defaultdict[str, int] = defaultdict(int)
        for app, calls in usage.items():
            sums[self._name_of(app)] += calls
        return replace(
            facts,
            recent=[
                RecentCall(
                    self._name_of(each.app),
                    each.status,
                    (self._now - each.started_at).total_seconds(),
                )
                for each in ended
            ],
            met=[met_error(each, self._now, self._name_of) for each in errors],
            usage=dict(sums),
            timing=Timing(
                [each.provider_seconds for each in recent],
                [each.provider_seconds for each in usual],
                [each.all_seconds - each.provider_seconds for each in recent],
            ),
        )

    def _with_redis(self, facts: ProviderFacts, config: ProviderConfig) -> ProviderFacts:
        if self._liveness.fleet is None:
            return facts
        context = self._core.context
        lengths = list_lengths(self._core.redis, [(facts.name, int(each)) for each in Priority])
        return replace(
            facts,
            limiter=context.limiter.state(facts.name, context.limits(config)),
            breakers=context.breakers(config).views(),
            queued={priority: count for (_, priority), count in lengths.items() if count},
        )

    def _key(self, key: Key) -> KeyStanding:
        return KeyStanding(
            key.id,
            key.slot,
            (key.expires_at - self._now).total_seconds() if key.expires_at else None,
            (self._now - key.suspect_at).total_seconds() if key.suspect_at else None,
            key.reason if KeyState(key.state) is KeyState.ACTIVE else None,
        )

    def _workers(self, name: str) -> list[ServingWorker]:
        fleet = self._liveness.fleet
        if fleet is None:
            return []
        serving = (each for each in fleet.serving(name) if each.is_alive)
        return [ServingWorker(str(each), each.slots, each.busy) for each in serving]

    def _backlog(self, name: str) -> list[AppBacklog]:
        calls: dict[str, dict[int, int]] = {}
        oldest: dict[str, dict[int, float]] = {}
        for row in self._ledger.waiting.get(name, ()):
            app, age = self._name_of(row.app), (self._now - row.oldest).total_seconds()
            of_app, ages = calls.setdefault(app, {}), oldest.setdefault(app, {})
            of_app[row.priority] = of_app.get(row.priority, 0) + row.calls
            ages[row.priority] = max(ages.get(row.priority, 0.0), age)
        return [
            AppBacklog(app, of_app, max(oldest[app].values()), oldest[app])
            for app, of_app in calls.items()
        ]


def _by_hand(control: Control, setting: controls.Setting, until: datetime | None) -> ByHand:
    setter = controls.setter_of(control, setting)
    if setter is None:
        return ByHand(until=until)
    return ByHand(setter.actor, setter.at, setter.reason, until)
