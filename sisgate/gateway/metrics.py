"""The one collector of metrics. It reads Redis and the ledger, so it is right for all processes.

Nothing is counted in a process: what a killed worker had done is in the ledger, and no two
processes tell of the same.
"""

from collections import Counter, defaultdict
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from sisgate.access.policy import Action
from sisgate.audit import heads
from sisgate.domain.call_results import STAGES, CallTally
from sisgate.domain.latencies import SHORTEST_MS, LatencySketch
from sisgate.domain.priorities import Priority
from sisgate.domain.states import JobState, KeyState
from sisgate.domain.timings import Timed
from sisgate.domain.webhook_events import DeliveryResult
from sisgate.errors import BrokerUnavailable
from sisgate.gateway import live_readings
from sisgate.gateway.core import Core
from sisgate.gateway.liveness import read_liveness
from sisgate.ledger import alerts, gauges, rollups, timings
from sisgate.monitoring import catalogue as metric
from sisgate.monitoring.readings import Readings
from sisgate.quarantine import Quarantine
from sisgate.redis.queues import PLANNER_QUEUE

DAY = timedelta(days=1)

DONE_SECONDS = 30.0
"""How old the numbers of jobs that are done may be, where jobs are many."""


def read(core: Core) -> Readings:
    """Return what all metrics are now.

    Raises `BrokerUnavailable` and `DatabaseUnavailable` rather than return partial data.
    """
    core.access.require(Action.LOOK)
    readings = Readings()
    with core.database.read() as session:
        _of_calls(session, core, readings)
        _of_work(session, core, readings)
        _of_keys(session, core, readings)
        _of_upkeep(session, core, readings)
    live_readings.read(core, core.configuration.current().providers, readings)
    _of_fleet(core, readings)
    return readings


def _of_calls(session: Session, core: Core, into: Readings) -> None:
    """Add what became of calls, of all providers that ever had one."""
    rows: Counter[str] = Counter()
    queued: defaultdict[tuple[str, int], LatencySketch] = defaultdict(LatencySketch)
    by_provider: defaultdict[str, CallTally] = defaultdict(CallTally)
    for key, tally in rollups.ever(session, STAGES):
        priority = Priority(key.priority).word
        into.add(metric.CALLS, tally.calls, key.provider, key.endpoint, key.result.value, priority)
        rows[key.provider] += tally.rows
        queued[key.provider, key.priority].merge(tally.latency("queue"))
        by_provider[key.provider].merge(tally)
    for (provider, number), sketch in queued.items():
        into.add(metric.QUEUE_SECONDS, sketch, provider, Priority(number).word)
    ledger = LatencySketch()
    for provider, tally in by_provider.items():
        permits = tally.latency("permit")
        at_once = permits.up_to(SHORTEST_MS)[0]
        into.add(metric.ROWS, rows[provider], provider)
        into.add(metric.CALL_SECONDS, tally.latency("provider"), provider)
        into.add(metric.PERMIT_SECONDS, permits, provider)
        into.add(metric.PERMITS_GRANTED, permits.count, provider)
        into.add(metric.PERMITS_DENIED, permits.count - at_once, provider)
        ledger.merge(tally.latency("ledger"))
    into.add(metric.LEDGER_SECONDS, ledger, "claim")
    _of_timings(session, into)
    progress = rollups.progress(session)
    if progress is not None and progress.counted_to is not None:
        into.add(metric.COUNTED_AGE, _seconds(core.clock.now(), progress.counted_to))


def _of_timings(session: Session, into: Readings) -> None:
    """Add what else takes time."""
    webhooks = dict.fromkeys(DeliveryResult, LatencySketch())
    for name, label, sketch in timings.ever(session):
        match name:
            case Timed.ACCEPTED | Timed.BEGUN:
                into.add(metric.SCHEDULE_DELAY, sketch, label, name.value)
            case Timed.ACCEPTANCE | Timed.RECORD:
                into.add(metric.LEDGER_SECONDS, sketch, name.value)
            case Timed.WEBHOOK:
                webhooks[DeliveryResult(label)] = sketch
    for result, sketch in webhooks.items():
        into.add(metric.WEBHOOK_SECONDS, sketch, result.value)


def _of_work(session: Session, core: Core, into: Readings) -> None:
    now, configured = core.clock.now(), core.configuration.current().providers
    # Of few providers those are told as well that have no jobs: a rule can then compare with 0.
    known = set(configured) if len(configured) <= live_readings.MOST_IDLE else set()
    jobs = Counter({(name, state): count for name, state, count in gauges.jobs(session)})
    keep, many = core.context.kept_for, lambda: gauges.jobs_are_many(session)
    seconds = DONE_SECONDS if keep(DONE_SECONDS, "whether jobs are many", many) else 0.0
    for name, count in keep(seconds, "jobs done", lambda: gauges.jobs_done(session)):
        jobs[name, JobState.DONE.value] = count
    for name in sorted(known | {name for name, _ in jobs}):
        for state in JobState:
            into.add(metric.JOBS, jobs[name, state.value], name, state.value)
    dead = Counter(dict(gauges.dead_letters(session)))
    shared = Counter({name: int(count) for name, count in gauges.shared(session)})
    for gauge, counts in ((metric.DEAD_LETTERS, dead), (metric.SHARED, shared)):
        for name in sorted(known | set(counts)):
            into.add(gauge, counts[name], name)
    for name, priority, published_at in gauges.oldest_waiting(session):
        assert published_at is not None
        into.add(metric.OLDEST_WAITING, _seconds(now, published_at), name, Priority(priority).word)
    for name, resource, synced_at, changes in gauges.datasets(session):
        into.add(metric.CHANGES, changes, name, resource)
        if synced_at is not None:
            into.add(metric.DATASET_AGE, _seconds(now, synced_at), name, resource)


def _of_keys(session: Session, core: Core, into: Readings) -> None:
    now = core.clock.now()
    states: Counter[tuple[str, str]] = Counter()
    for name, slot, state, expires_at in gauges.keys(session):
        states[name, state] += 1
        if state == KeyState.ACTIVE and expires_at is not None:
            into.add(metric.KEY_EXPIRY, (expires_at - now) / DAY, name, slot)
    for labels, count in states.items():
        into.add(metric.KEYS, count, *labels)


def _of_upkeep(session: Session, core: Core, into: Readings) -> None:
    sealed_at = gauges.sealed_at(session)
    if sealed_at is not None:
        into.add(metric.SEAL_AGE, _seconds(core.clock.now(), sealed_at))
    for report in heads.reports(core.redis):
        into.add(metric.HEAD_FAILING, int(report.error is not None), report.host)
    for state, count in gauges.webhooks(session):
        into.add(metric.WEBHOOKS, count, state)
    into.add(metric.WEBHOOK_MESSAGES, gauges.webhook_messages(session))
    for rule, state, severity, count in alerts.live(session):
        into.add(metric.ALERTS, count, rule, state, severity)
    channels = dict.fromkeys(core.configuration.current().alerts.channels, 0)
    channels |= {name: count for name, count, *_ in alerts.waiting_by_channel(session)}
    for name, count in channels.items():
        into.add(metric.ALERT_MESSAGES, count, name)
    into.add(metric.QUARANTINED, len(Quarantine(core.redis).messages()))


def _of_fleet(core: Core, into: Readings) -> None:
    liveness = read_liveness(core.context)
    if liveness.fleet is None:
        raise BrokerUnavailable("Redis cannot be reached.")
    alive = [each for each in liveness.fleet.processes if each.is_alive]
    serving = Counter(queue for each in alive for queue in each.queues)
    for name in core.configuration.current().providers:
        into.add(metric.WORKERS, serving[name], name)
    kinds = Counter(each.kind for each in alive)
    into.add(metric.ALIVE, kinds["worker"], "worker")
    into.add(metric.ALIVE, serving[PLANNER_QUEUE], "planner")
    into.add(metric.ALIVE, kinds["beat"], "beat")
    for obstacle in liveness.obstacles:
        into.add(metric.OBSTACLE, 1, obstacle.provider or "", obstacle.cause.value)
    if liveness.fleet.reconciled_seconds is not None:
        into.add(metric.RECONCILE_AGE, liveness.fleet.reconciled_seconds)
    offsets = {each.host: each.clock_offset_seconds for each in alive}
    for host, seconds in offsets.items():
        if seconds is not None:
            into.add(metric.CLOCK_OFFSET, seconds, host)


def _seconds(now: datetime, since: datetime) -> float:
    return max(0.0, (now - since).total_seconds())
