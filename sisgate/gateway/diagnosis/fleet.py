"""Checks of the fleet: live processes, quarantine, webhooks, heads of the audit log."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from sisgate.audit.heads import can_append, reports
from sisgate.domain.moments import local_time
from sisgate.domain.validation import some_of
from sisgate.domain.webhook_events import WebhookState
from sisgate.errors import BrokerUnavailable
from sisgate.gateway.core import Core
from sisgate.gateway.diagnosis.result import DiagnosticResult, Grade
from sisgate.gateway.liveness import read_liveness
from sisgate.ledger import alerts, webhooks
from sisgate.liveness.heartbeats import Fleet, Heartbeat
from sisgate.liveness.obstacles import Cause
from sisgate.quarantine import Quarantine
from sisgate.redis.queues import PLANNER_QUEUE, queue_depths
from sisgate.verdict.neglect import quarantined

SUBJECTS = {
    Cause.REDIS_REFUSES_WRITES: "redis",
    Cause.REDIS_SLOW: "redis",
    Cause.PLANNER_MISSING: "planner",
    Cause.BEAT_MISSING: "beat",
    Cause.LEDGER_UNUSABLE: "ledger",
    Cause.RECONCILE_OVERDUE: "reconcile",
    Cause.WORKER_MISSING: "worker",
    Cause.MASTER_KEY_MISSING: "worker",
    Cause.WORKER_REFUSED: "worker",
    Cause.SLOTS_FULL: "worker",
    Cause.CLOCKS_DIFFER: "clocks",
    Cause.VERSIONS_DIFFER: "versions",
    Cause.CONFIGURATION_LAGS: "configuration",
    Cause.CONFIGURATION_NOT_UNDERSTOOD: "configuration",
    Cause.CONFIGURATION_UNVERSIONED: "configuration",
    Cause.CONFIGURATION_FILES_DIFFER: "configuration",
    Cause.ACCESS_DIFFERS: "access",
}
"""The subjects of results. Redis, ledger and missing keys have their own checks."""


MOST_NAMES = 8
"""How many queues of a worker are listed."""


def processes(core: Core) -> Iterator[DiagnosticResult]:
    """Yield the obstacles of jobs, and the live processes where nothing is missing."""
    liveness = read_liveness(core.context)
    obstacles = [each for each in liveness.obstacles if each.cause in SUBJECTS]
    waiting = _waiting(core, [each.provider for each in obstacles if each.provider is not None])
    for each in obstacles:
        grade: Grade = "fail" if each.stops or each.harms else "warn"
        count = waiting.get(each.provider or "", 0)
        message = f"{each.message}; {count:,} calls wait" if count else each.message
        yield DiagnosticResult(SUBJECTS[each.cause], grade, message, each.remedy)
    if liveness.fleet is not None:
        missing = {SUBJECTS[each.cause] for each in obstacles}
        for subject, what in _alive(core, liveness.fleet):
            if subject not in missing:
                yield DiagnosticResult(subject, "ok", what)
        for worker in sorted(liveness.fleet.processes, key=lambda each: each.name):
            if worker.is_alive and worker.kind == "worker":
                yield DiagnosticResult(worker.name, "ok", _served(worker))


def _waiting(core: Core, providers: Sequence[str]) -> Mapping[str, int]:
    """Return how many messages wait for providers; nothing while Redis is away."""
    with suppress(BrokerUnavailable):
        return queue_depths(core.redis, providers)
    return {}


def _served(worker: Heartbeat) -> str:
    """Return what a worker serves: what it was told to, and which providers these are now.

    >>> worker = Heartbeat("id", "worker", "app-1", 7, "w0@app-1", "1", ("a", "b"), serves="all")
    >>> _served(worker)
    'serves all: a, b'
    """
    names = some_of(worker.queues, MOST_NAMES) if worker.queues else "none now"
    return f"serves {worker.serves or 'its queues'}: {names}"


def _alive(core: Core, fleet: Fleet) -> Iterator[tuple[str, str]]:
    alive = [each for each in fleet.processes if each.is_alive]
    names = [PLANNER_QUEUE, *core.configuration.current().providers]
    try:
        depths = queue_depths(core.redis, names)
    except BrokerUnavailable:
        depths = dict.fromkeys(names, 0)
    planners = [each for each in fleet.serving(PLANNER_QUEUE) if each.is_alive]
    waiting = f"{depths[PLANNER_QUEUE]:,} messages wait"
    yield "planner", f"{_places(planners)}; {waiting}"
    yield "beat", _places([each for each in alive if each.kind == "beat"])
    if fleet.reconciled_seconds is not None:
        by = f" by {fleet.leader}" if fleet.leader else ""
        yield "reconcile", f"the last one {fleet.reconciled_seconds:.0f} s ago{by}"
    if len(names) > 1:
        workers = [each for each in alive if set(names[1:]) & set(each.queues)]
        slots = sum(each.slots for each in workers)
        waiting = f"{sum(depths[name] for name in names[1:]):,} messages wait"
        yield "worker", f"every provider is served: {_places(workers)}, {slots} slots; {waiting}"


def quarantine(core: Core) -> Iterator[DiagnosticResult]:
    """Yield a result if there are messages in quarantine."""
    try:
        count = len(Quarantine(core.redis).messages())
    except BrokerUnavailable:
        return
    if count:
        found = quarantined(count)
        yield DiagnosticResult("quarantine", "warn", found.message, found.remedy)


def failing_webhooks(core: Core, app: str | None = None) -> Iterator[DiagnosticResult]:
    """Yield a result for each webhook, of an app or all, that is not delivered."""
    with core.database.read() as session:
        rows = webhooks.of_app(session, app)
    for row in rows:
        subject, resume = f"webhook {row.id}", f"`sisgate webhooks resume {row.id}`"
        if row.state != WebhookState.ACTIVE:
            what = f"of {row.app} is {row.state}: {row.reason}"
            yield DiagnosticResult(subject, "warn", what, f"{resume} makes it active.")
        elif row.failures:
            since = row.failing_since
            begin = f"has failed since {local_time(since)}" if since else "fails"
            what = f"of {row.app} {begin}: {row.last_error}"
            remedy = f"`sisgate webhooks deliveries {row.id}` shows its attempts."
            yield DiagnosticResult(subject, "warn", what, remedy)


def failing_channels(core: Core) -> Iterator[DiagnosticResult]:
    """Yield a result for each channel of alerts that does not get its messages."""
    known = core.configuration.current().alerts.channels
    with core.database.read() as session:
        rows = alerts.waiting_by_channel(session)
    for name, count, since, error in rows:
        if name in known and error is not None:
            are = "message has" if count == 1 else "messages have"
            what = f"gets nothing: {count:,} {are} waited since {local_time(since)}; {error}"
            remedy = f"Mend it where the workers run; `sisgate alerts test {name}` tries it."
            yield DiagnosticResult(f"alert channel {name}", "warn", what, remedy)


def audit_heads(core: Core) -> Iterator[DiagnosticResult]:
    """Yield whether hosts can keep the heads of the audit log, for each recent host."""
    try:
        heads = reports(core.redis)
    except BrokerUnavailable:
        return
    remedy = (
        "On that host, give the worker of the queue `sisgate` persistent, writable storage (in a "
        "container, a volume for SISGATE_DATA_DIR), or set audit_heads_file or "
        "audit_heads_command."
    )
    for each in heads:
        if each.error is not None:
            yield DiagnosticResult("audit heads", "fail", f"{each.host}: {each.error}", remedy)
    if heads and all(each.error is None for each in heads):
        places = ", ".join(f"{each.path} on {each.host}" for each in heads)
        yield DiagnosticResult("audit heads", "ok", f"kept in {places}")
    path = core.settings.audit_heads_path
    if not heads and not can_append(path):
        what = f"{path} cannot be written on this host, and no worker has kept a head recently"
        yield DiagnosticResult("audit heads", "warn", what, remedy)


def _places(processes: Sequence[Heartbeat]) -> str:
    """Return the number of processes and their hosts.

    >>> beat = Heartbeat("id", "beat", "app-1", 7, "beat", "1")
    >>> _places([beat])
    '1 alive on app-1'
    """
    hosts = ", ".join(sorted({each.host for each in processes}))
    return f"{len(processes)} alive on {hosts}"
