"""The reconciler makes the broker agree with the ledger. Repeats are harmless."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta

import structlog
from kombu.utils.json import dumps
from sqlalchemy.orm import Session

from sisgate.audit.events import call_lost
from sisgate.broker import APP_TASKS
from sisgate.domain.retries import RetryPolicy
from sisgate.domain.states import CallState, JobState
from sisgate.errors import BrokerUnavailable, OutcomeUnknown, SisgateError
from sisgate.gateway.liveness import why_waiting
from sisgate.ledger import jobs, redelivery, retries
from sisgate.ledger.job_search import due_for_planning
from sisgate.ledger.schema import Call, Job
from sisgate.redis.queues import PLANNER_QUEUE, list_lengths, queue_keys
from sisgate.redis.scripts import Argument, run_script
from workers.admission import limiter_recovery
from workers.admission.messages import MAX_MESSAGE_BYTES, read_message
from workers.maintenance import audit
from workers.runtime import Runtime

log = structlog.get_logger()

OVERDUE = timedelta(seconds=30)
"""An accepted job whose plan message was published this long ago is published again."""

AGE_AFTER = timedelta(minutes=15)
"""Work that waited this long in its queue moves up one priority, so that low is not starved."""

GRACE = timedelta(seconds=10)
"""A queued call counts as missing from its empty list only after this long."""


def reconcile(runtime: Runtime) -> None:
    """Expire, recover, and publish what is due; record the success or the failure."""
    try:
        _reconcile(runtime)
    except SisgateError as error:
        _note(runtime, error.message)
        raise
    except Exception as error:
        _note(runtime, type(error).__name__)
        raise
    _note(runtime, None)


def _note(runtime: Runtime, failure: str | None) -> None:
    with suppress(BrokerUnavailable):
        runtime.heartbeats.note_reconcile(failure)


def _reconcile(runtime: Runtime) -> None:
    for job_id in _end_overdue(runtime):
        runtime.wakeups.announce(job_id)
    with _postponed_without_redis():
        limiter_recovery.apply_controls(runtime)
        limiter_recovery.rebuild_unknown(runtime)
        audit.audit_transitions(runtime)
        _publish_due(runtime)


def redeliver(runtime: Runtime) -> None:
    """Republish what the broker has lost, and collect messages sent to Celery's default queue."""
    with _postponed_without_redis():
        move_unaddressed(runtime)
        now = runtime.clock.now()
        with runtime.database.read() as session:
            queues = redelivery.waiting_queues(session, now, GRACE)
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
        with runtime.database.write() as session:
            aged = redelivery.age(session, runtime.clock.now(), AGE_AFTER)
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


def _publish_due(runtime: Runtime) -> None:
    providers, now = runtime.configuration.current().providers, runtime.clock.now()

    def policy_of(provider: str) -> RetryPolicy:
        config = providers.get(provider)
        return config.retry.policy if config else RetryPolicy()

    with runtime.database.write() as session:
        waiting = due_for_planning(session, now, OVERDUE)
        jobs.mark_published(session, [job.id for job in waiting], now)
        due = redelivery.due(session, now) + retries.due(session, now, policy_of)
    for job in waiting:
        runtime.publisher.plan(job.id, job.priority)
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
