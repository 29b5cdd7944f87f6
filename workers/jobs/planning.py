"""Planning: an accepted sync becomes call rows and the first messages. Makes no call itself."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from sisgate.domain.states import JobState
from sisgate.errors import BrokerUnavailable, UnknownProvider
from sisgate.gateway.removed_providers import removed_error
from sisgate.ledger import call_queue, configuration, jobs
from sisgate.ledger.calls import ClaimedJob
from sisgate.ledger.job_search import running_beside
from sisgate.ledger.schema import Job
from sisgate.logs import get_logger
from sisgate.sync import start
from sisgate.tracing import trace_id_of
from workers.runtime import Runtime

log = get_logger()

WINDOW = 10
"""Calls of one app, provider and priority that are outstanding at a time, by weight.

They share one first-in, first-out queue, and each that ends is followed by the next of its job. So
apps share the quota in proportion to their windows, whatever the size of their jobs, and an unused
share goes to the others automatically.
"""


def plan(runtime: Runtime, job_id: str) -> None:
    """Plan a job once: a second delivery only fills its window."""
    fleet, now = runtime.configuration.current(), runtime.clock.now()
    with runtime.database.write() as session:
        job = jobs.lock(session, job_id)
        if job is None or JobState(job.state).is_final:
            return
        # A provider may have been added a moment ago.
        config = fleet.providers.get(job.provider) or runtime.configuration.refresh().providers.get(
            job.provider
        )
        if config is None and configuration.has_provider(session, job.provider):
            # Another worker's code may understand its configuration; this job is published again.
            log.warning("provider_not_understood", job=job.id, provider=job.provider)
            return
        if config is None:
            _end_unconfigured(session, job, now)
        elif job.state == JobState.ACCEPTED.value:
            start.start(session, job, config, now)
        ids = call_queue.queue_next(session, job.id, window_of(session, runtime, job), now)
        ended = JobState(job.state).is_final
    log.info(
        "job_planned", job=job.id, provider=job.provider, resource=job.resource, calls=len(ids),
        trace=trace_id_of(job.traceparent),
    )  # fmt: skip
    publish(runtime, job, ids)
    if ended:
        runtime.wakeups.announce(job.id)


def _end_unconfigured(session: Session, job: Job, now: datetime) -> None:
    """End a job whose provider was removed as cancelled, that of an unknown one as failed."""
    removed = configuration.removed(session, [job.provider])
    if removed:
        error = removed_error(job.provider, removed[job.provider]).as_dict()
        jobs.end(session, job, JobState.CANCELLED, now, error=error)
        return
    error = {
        "code": UnknownProvider.code,
        "message": f"Provider {job.provider} is no longer configured on this worker.",
    }
    jobs.end(session, job, JobState.FAILED, now, error=error)


def window_of(session: Session, runtime: Runtime, job: Job) -> int:
    """Return how many calls of a job may be outstanding: its share of its app's window."""
    weight = runtime.configuration.current().app(job.app).weight
    siblings = running_beside(session, job)
    return max(1, round(WINDOW * weight / siblings))


def publish(runtime: Runtime, job: Job | ClaimedJob, call_ids: Sequence[int]) -> None:
    """Publish calls of a job after the commit that queued them.

    A broker that is down loses nothing: the reconciler publishes calls that no worker received.
    """
    if not call_ids:
        return
    try:
        runtime.publisher.calls((call_id, job.provider, job.priority) for call_id in call_ids)
    except BrokerUnavailable:
        log.warning("publish_postponed", job=job.id, provider=job.provider, calls=len(call_ids))
