"""The reconciler makes the broker agree with the ledger. Repeats are harmless.

Each function reads first and writes only where there is something to do: an idle fleet takes the
write lock no more often than it proves that the ledger can be written.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta

from kombu.utils.json import dumps
from sqlalchemy.orm import Session

from sisgate.audit.events import call_lost
from sisgate.broker import APP_TASKS
from sisgate.domain.retries import RetryPolicy
from sisgate.domain.states import CallState, JobState
from sisgate.errors import BrokerUnavailable, DatabaseUnavailable, OutcomeUnknown, SisgateError
from sisgate.gateway.liveness import why_waiting
from sisgate.ledger import jobs, redelivery, retries
from sisgate.ledger.job_search import unplanned
from sisgate.ledger.schema import Call, Job
from sisgate.logs import get_logger
from sisgate.redis.queues import PLANNER_QUEUE, list_lengths, queue_keys
from sisgate.redis.scripts import Argument, run_script
from workers.admission import limiter_recovery
from workers.admission.messages import MAX_MESSAGE_BYTES, read_message
from workers.jobs import planning
from workers.maintenance import audit
from workers.runtime import Runtime

log = get_logger()

UNPLANNED = timedelta(seconds=3)
"""An accepted job that was not published, or that no planner serves, is overdue after this long."""

OVERDUE = timedelta(seconds=30)
"""An accepted job is overdue this long after it was published, though a planner is running."""

PLAN_SECONDS = 1.0
"""How long one run plans; the rest is for the next run."""

PROVEN_SECONDS = 15.0
"""How long a commit proves that the ledger can be written."""

AGE_AFTER = timedelta(minutes=15)
"""Work that waited this long in its queue moves up one priority, so that low is not starved."""

GRACE = timedelta(seconds=10)
"""A queued call counts as missing from its empty list only after this long."""


def reconcile(runtime: Runtime) -> None:
    """Expire, recover, and publish what is due; record the success or the failure."""
    try:
        _reconcile(runtime)
    except SisgateError as error:
        _note(runtime, error.message, error.code)
        raise
    except Exception as error:
        _note(runtime, type(error).__name__)
        raise
    _note(runtime)


def _note(runtime: Runtime, failure: str | None = None, code: str | None = None) -> None:
    with suppress(BrokerUnavailable):
        runtime.heartbeats.note_reconcile(failure, code)


def _reconcile(runtime: Runtime) -> None:
    _prove_ledger(runtime)
    for job_id in _end_overdue(runtime):
        runtime.wakeups.announce(job_id)
    with _postponed_without_redis():
        limiter_recovery.apply_controls(runtime)
        limiter_recovery.rebuild_unknown(runtime)
        audit.audit_transitions(runtime)
        _plan_overdue(runtime)
        _publish_due(runtime)


def _prove_ledger(runtime: Runtime) -> None:
    """Find out whether the ledger takes writes, though there may be nothing to write.

    One that only reads looks well, and lets no job be accepted and no call be made.
    """
    now = runtime.clock.monotonic()
    if now >= runtime.ledger_proven_until:
        runtime.database.prove_writable()
        runtime.ledger_proven_until = now + PROVEN_SECONDS


def redeliver(runtime: Runtime) -> None:
    """Republish what the broker has lost, and collect messages sent to Celery's default queue."""
    with _postponed_without_redis():
        move_unaddressed(runtime)
        now = runtime.clock.now()
        with runtime.database.read() as session:
            queues = redelivery.waiting_queues(session, now, GRACE)
        if not queues:
            return
        lengths = list_lengths(runtime.redis, queues)
        empty = [queue for queue in queues if lengths[queue] == 0]
        with runtime.database.write() as session:
            lost = redelivery.missing(session, empty, now, GRACE)
            lost += redelivery.overtaken(session, now, 3 * GRACE)
        if lost:
            log.warning("calls_published_again", count=len(lost))
        runtime.publisher.calls(lost)


def age(runtime: Runtime) -> None:
    """Raise the priority of starved work."""
    with _postponed_without_redis():
        now = runtime.clock.now()
        with runtime.database.read() as session:
            if not redelivery.waiting_queues(session, now, AGE_AFTER):
                return
        with runtime.database.write() as session:
            aged = redelivery.age(session, now, AGE_AFTER)
        runtime.publisher.calls(aged)


@contextmanager
def _postponed_without_redis() -> Iterator[None]:
    try:
        yield
    except BrokerUnavailable as error:
        log.warning("reconcile_postponed", reason=error.message)


def _end_overdue(runtime: Runtime) -> list[str]:
    now = runtime.clock.now()
    with runtime.database.read() as session:
        overdue = jobs.overdue_providers(session, now)
        if not overdue and not redelivery.is_any_lost(session, now):
            return []
    # Read before the transaction: a slow Redis must not keep the ledger locked.
    known = {name: why_waiting(runtime, name, reconciles=True) for name in overdue}
    why = {name: reason for name, reason in known.items() if reason}
    with runtime.database.write() as session:
        ended = jobs.expire_overdue(session, now, why)
        for call in redelivery.recover_lost(session, now, lambda c: call_lost(session, c, now)):
            call.ended_at = now
            job = jobs.lock(session, call.job_id)
            if job is not None and not JobState(job.state).is_final:
                _end_lost(session, job, call, now)
                ended.append(job.id)
    return ended


def _plan_overdue(runtime: Runtime) -> None:
    """Plan accepted jobs that no planner has planned: its messages may be lost, or it is.

    While a planner is running, jobs that were never published are published to it.
    """
    providers = runtime.configuration.current().providers
    now, ends_at = runtime.clock.now(), runtime.clock.monotonic() + PLAN_SECONDS
    with runtime.database.read() as session:
        if not unplanned(session, now, UNPLANNED, UNPLANNED, limit=1):
            return
        has_planner = _has_planner(runtime)
        overdue = OVERDUE if has_planner else UNPLANNED
        waiting = unplanned(session, now, UNPLANNED, overdue)
    known = [job for job in waiting if job.provider in providers]
    plans = [job for job in known if job.published_at is not None or not has_planner]
    others = [job for job in waiting if job not in plans]
    if others:
        with runtime.database.write() as session:
            jobs.mark_published(session, [job.id for job in others], now)
        runtime.publisher.plans((job.id, job.priority) for job in others)
    for job in plans:
        if runtime.clock.monotonic() >= ends_at:
            return
        _plan(runtime, job.id)


def _has_planner(runtime: Runtime) -> bool:
    processes = runtime.heartbeats.read().processes
    return any(PLANNER_QUEUE in process.queues for process in processes if process.is_alive)


def _plan(runtime: Runtime, job_id: str) -> None:
    try:
        planning.plan(runtime, job_id)
    except DatabaseUnavailable:
        raise
    except Exception:
        # One job that cannot be planned must not hold up the others.
        log.exception("planning_failed", job=job_id)


def _publish_due(runtime: Runtime) -> None:
    providers, now = runtime.configuration.current().providers, runtime.clock.now()
    with runtime.database.read() as session:
        if not redelivery.is_any_due(session, now):
            return

    def policy_of(provider: str) -> RetryPolicy:
        config = providers.get(provider)
        return config.retry.policy if config else RetryPolicy()

    with runtime.database.write() as session:
        due = redelivery.due(session, now) + retries.due(session, now, policy_of)
    runtime.publisher.calls(due)


def _end_lost(session: Session, job: Job, call: Call, now: datetime) -> None:
    """End the job of a call whose worker was lost and that is not repeated."""
    if call.state == CallState.UNKNOWN:
        method = (call.target or {}).get("method", "request")
        error = {
            "code": OutcomeUnknown.code,
            "message": f"The worker was lost while making the {method}. It is unknown whether the "
            "provider carried it out, so it is not repeated. " + jobs.how_to_resolve(job.id),
        }
        jobs.end(session, job, JobState.UNKNOWN, now, error={**error, "call": call.id})
        return
    error = {
        "code": "poison",
        "message": f"Call {call.id} was in progress on {call.lost_workers} workers that died or "
        "were killed. It is not retried automatically: check the workers' logs, then run "
        f"`sisgate jobs retry {job.id[:8]}`.",
    }
    jobs.end(session, job, JobState.FAILED, now, error={**error, "call": call.id}, dead=True)


DEFAULT_QUEUE = "celery"
SEARCHED_AT_EACH_END = 200
"""Messages of a list that are searched: another app may have piled up many in between."""


def move_unaddressed(runtime: Runtime) -> int:
    """Move the contract's messages from Celery's default queue to the planner's; return how many.

    They were sent without a queue. The fleet does not consume the default queue, but another app on
    the same Redis may: its messages are not touched. Each move is atomic, so a message is never in
    both lists or in neither. Raises `BrokerUnavailable`.
    """
    client, moved = runtime.redis, 0
    for source, target in zip(queue_keys(DEFAULT_QUEUE), queue_keys(PLANNER_QUEUE), strict=True):
        args: list[Argument] = [SEARCHED_AT_EACH_END, MAX_MESSAGE_BYTES, *APP_TASKS]
        # Oldest first.
        for text in reversed(run_script(client, "redis/find_messages", [source], args)):
            addressed = _addressed_to_planner(text)
            if addressed is not None:
                keys = (source, target)
                moved += run_script(client, "redis/move_message", keys, (text, addressed))
    if moved:
        log.info("messages_without_queue_moved", count=moved)
    return moved


def _addressed_to_planner(text: bytes) -> str | None:
    """Return a message of the contract readdressed to the planner; None for any other."""
    try:
        payload = read_message(text)
    except ValueError:
        return None
    if payload["headers"]["task"] not in APP_TASKS:
        return None
    place = {"exchange": PLANNER_QUEUE, "routing_key": PLANNER_QUEUE}
    payload["properties"]["delivery_info"] = place
    return str(dumps(payload))
