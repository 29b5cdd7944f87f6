"""Reads the facts of one provider of a verdict."""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from sisgate.domain.certificates import places_of
from sisgate.domain.priorities import Priority
from sisgate.errors import BrokerUnavailable, DatabaseUnavailable
from sisgate.gateway.core import Core
from sisgate.gateway.ledger_facts import RECENT, LedgerFacts
from sisgate.gateway.liveness import Liveness
from sisgate.gateway.row_facts import (
    NameOf,
    backlog_by_app,
    by_hand,
    failed_sync,
    held_sync,
    is_in_use,
    key_standing,
    met_error,
    recent_call,
    timed_calls,
    unsettled_jobs,
)
from sisgate.ledger import controls, jobs, recent_work
from sisgate.ledger.recent_work import AppCalls, EndedAttempt, ErrorRow, RunningAttempt
from sisgate.ledger.schema import Control
from sisgate.liveness.heartbeats import EVERY_SECONDS
from sisgate.liveness.obstacles import Obstacle
from sisgate.monitoring.certificates import ending_certificates
from sisgate.redis.queues import list_lengths
from sisgate.redis.scripts import run_scripts
from sisgate.settings import ProviderConfig
from sisgate.verdict.answers import gives_pages
from sisgate.verdict.facts import (
    RECENT_SECONDS,
    ProviderFacts,
    ServingWorker,
    Timing,
)
from sisgate.verdict.slowness import may_be_slow

PAGES_BEFORE = timedelta(days=7)
"""How far back it is asked whether a provider that gives pages gave data."""


def lost_among(liveness: Liveness, running: Sequence[RunningAttempt], now: datetime) -> int:
    """Return how many calls under way no live worker has.

    A call younger than two heartbeats may not have been told of, and a worker of an older version
    tells of none.
    """
    if liveness.fleet is None or not running:
        return 0
    alive = [each for each in liveness.fleet.processes if each.is_alive and each.kind == "worker"]
    if any(each.calls is None for each in alive):
        return 0
    held = {call for each in alive for call in each.calls or ()}
    told = now - timedelta(seconds=2 * EVERY_SECONDS)
    return sum(1 for each in running if each.started_at < told and each.call not in held)


def host_of(config: ProviderConfig) -> str:
    """Return the host of a provider's first endpoint."""
    return urlsplit(config.endpoints[0].url).hostname or config.name


class ProviderReader:
    """Reads the facts of providers: of thousands, of which most are idle, as of one."""

    def __init__(
        self,
        core: Core,
        liveness: Liveness,
        ledger: LedgerFacts,
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
        self._configs = core.configuration.current().providers
        self._obstacles: defaultdict[str | None, list[Obstacle]] = defaultdict(list)
        for each in liveness.obstacles:
            self._obstacles[each.provider].append(each)

    def providers(self, names: Sequence[str]) -> list[ProviderFacts]:
        """Return all that is known of some providers."""
        found = {name: self._provider(name) for name in names}
        # Of thousands most are idle: what their limiters and breakers say hurts nobody.
        at_work = [
            each
            for each in found.values()
            if each.name in self._configs and (self._is_alone or self._is_at_work(each))
        ]
        if at_work:
            with suppress(DatabaseUnavailable), self._core.database.read() as session:
                at_work = self._with_calls(at_work, session)
        with suppress(BrokerUnavailable):
            at_work = self._with_redis(at_work)
            found |= {each.name: each for each in at_work}
            return self._with_certificates(found)
        return list((found | {each.name: each for each in at_work}).values())

    def _with_certificates(self, found: dict[str, ProviderFacts]) -> list[ProviderFacts]:
        """Return the facts with the certificates that end soon: of idle providers, too."""
        if self._liveness.fleet is None or not (
            ending := ending_certificates(self._core.redis, self._now)
        ):
            return list(found.values())
        places = {
            name: places_of([*(each.url for each in config.endpoints), config.token_endpoint])
            for name, config in self._configs.items()
            if name in found
        }
        return [
            replace(facts, certificates=[ending[e] for e in places.get(name, ()) if e in ending])
            for name, facts in found.items()
        ]

    def _provider(self, name: str) -> ProviderFacts:
        ledger, config = self._ledger, self._configs.get(name)
        obstacles = [*self._obstacles[None], *self._obstacles[name]]
        if config is None:
            return ProviderFacts(name, obstacles=obstacles)
        running = ledger.running.get(name, ())
        facts = ProviderFacts(
            name=name,
            host=host_of(config),
            configured=config.windows,
            slow_seconds=config.breaker.slow_seconds,
            keys=[
                key_standing(key, ledger.rotation_failures.get((key.provider, key.slot)), self._now)
                for key in ledger.keys.get(name, ())
                if is_in_use(key)
            ],
            warn_before_seconds=config.rotation.warn_before.total_seconds(),
            held=[held_sync(job, self._now) for job in ledger.held.get(name, ())],
            failed_syncs=[failed_sync(job) for job in ledger.failed_syncs.get(name, ())],
            workers=self._workers(name),
            backlog=backlog_by_app(ledger.waiting.get(name, ()), self._name_of, self._now),
            running_seconds=[(self._now - each.started_at).total_seconds() for each in running],
            lost=lost_among(self._liveness, running, self._now),
            obstacles=obstacles,
            unsettled=unsettled_jobs(ledger.unsettled.get(name, ()), self._now),
            max_waiting_jobs=config.max_waiting_jobs,
        )
        return self._set_by_hand(facts)

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
            pause=by_hand(control, "pause", control.paused_until) if is_paused else None,
            resumed_seconds=None if is_paused else self._resumed_seconds(control),
            pin=by_hand(control, "breaker", None) if control.pins else None,
            limits_set=by_hand(control, "limits", None) if control.windows else None,
        )

    def _resumed_seconds(self, control: Control) -> float | None:
        """Return how long ago a pause ended, by itself or by hand."""
        setter = controls.setter_of(control, "pause")
        ended = control.paused_until if control.paused else setter.at if setter else None
        return (self._now - ended).total_seconds() if ended is not None else None

    def _with_calls(self, found: list[ProviderFacts], session: Session) -> list[ProviderFacts]:
        """Return the facts with what the ledger knows of calls, in a statement or two for all."""
        ended = recent_work.ended_attempts(
            session, [each.name for each in found], self._now - RECENT
        )
        waiting = [each.name for each in found if each.waiting]
        errors = recent_work.errors_of_waiting(session, waiting) if waiting else {}
        # Who called is asked where calls wait.
        spans: defaultdict[float, list[str]] = defaultdict(list)
        for facts in found:
            if self._is_alone or facts.waiting:
                periods = (rate.period_seconds for rate in facts.configured)
                spans[max(periods, default=RECENT_SECONDS)].append(facts.name)
        usage: dict[str, list[AppCalls]] = {}
        for seconds, names in spans.items():
            since = self._now - timedelta(seconds=seconds)
            usage |= recent_work.calls_by_app(session, names, since)
        return [
            self._of_calls(
                each,
                session,
                ended.get(each.name, []),
                errors.get(each.name, []),
                usage.get(each.name, []),
            )
            for each in found
        ]

    def _of_calls(
        self,
        facts: ProviderFacts,
        session: Session,
        ended: Sequence[EndedAttempt],
        errors: list[ErrorRow],
        usage: Sequence[AppCalls],
    ) -> ProviderFacts:
        name, since = facts.name, self._now - RECENT
        jobs_waiting, most = None, facts.max_waiting_jobs
        # A job has a call that waits or is under way.
        if facts.waiting + len(facts.running_seconds) >= most:
            jobs_waiting = jobs.live_count(session, name, most)
        recent = timed_calls(ended)
        usual = []
        if may_be_slow(recent, facts.running_seconds):
            usual = timed_calls(recent_work.ended_attempts(session, [name], None, since)[name])
        errors += self._ledger.failed.get(name, [])
        sums: defaultdict[str, int] = defaultdict(int)
        for each in usage:
            sums[self._name_of(each.app)] += each.calls
        seen = [recent_call(each, self._name_of, self._now) for each in ended]
        gave_data = gives_pages(seen) and recent_work.gave_data(
            session, name, self._now - PAGES_BEFORE, self._now
        )
        return replace(
            facts,
            recent=seen,
            gave_data=gave_data,
            met=[met_error(each, self._now) for each in errors],
            usage=dict(sums),
            failed_usage=sum(each.failed for each in usage),
            jobs_waiting=jobs_waiting,
            timing=Timing(recent, usual),
        )

    def _with_redis(self, found: list[ProviderFacts]) -> list[ProviderFacts]:
        """Return the facts with what Redis knows, read in three round trips."""
        if self._liveness.fleet is None or not found:
            return found
        context, redis = self._core.context, self._core.redis
        configs = {each.name: self._configs[each.name] for each in found}
        limiters = context.limiter.states({n: context.limits(c) for n, c in configs.items()})
        breakers = [context.breakers(config) for config in configs.values()]
        views = run_scripts(redis, [each.views_call() for each in breakers])
        lengths = list_lengths(redis, [(n, int(each)) for n in configs for each in Priority])
        return [
            replace(
                facts,
                limiter=limiters[facts.name],
                breakers=of_it.read_views(seen),
                queued={
                    int(each): count for each in Priority if (count := lengths[facts.name, each])
                },
            )
            for facts, of_it, seen in zip(found, breakers, views, strict=True)
        ]

    def _workers(self, name: str) -> list[ServingWorker]:
        fleet = self._liveness.fleet
        if fleet is None:
            return []
        serving = (each for each in fleet.serving(name) if each.is_alive)
        return [ServingWorker(str(each), each.slots, each.busy) for each in serving]
