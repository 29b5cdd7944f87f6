"""A worker without a fleet: it plans, calls and concludes in the caller's own process and time."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import func, select

from sisgate.clock import Clock
from sisgate.gateway import JobStatus
from sisgate.ledger import migrate
from sisgate.ledger import schema as tables
from sisgate.settings import Settings
from testbed.clock import ManualClock
from workers.calls import execute
from workers.jobs import planning
from workers.maintenance import reconciler
from workers.runtime import Runtime

NAME = "lincoln"
STEP_SECONDS = 0.05
PATIENCE_SECONDS = 1500.0


@contextmanager
def runtime_of(
    settings: Settings, clock: Clock | None = None, *, script_clock: Clock | None = None
) -> Iterator[Runtime]:
    """Give a worker's runtime over an installation: its ledger migrated, its limiters ready."""
    runtime = Runtime(settings, clock, script_clock=script_clock)
    try:
        migrate.upgrade(runtime.database)
        for name, config in settings.providers.items():
            runtime.limiter.rebuild(name, runtime.limits(config), [])
        yield runtime
    finally:
        runtime.alert_judge.stop()
        runtime.gateway.close()
        runtime.database.dispose()
        runtime.redis.close()
        runtime.transport.close()


class Worker:
    """One worker process of one provider, by a clock that moves when there is nothing to do."""

    def __init__(self, runtime: Runtime, clock: ManualClock) -> None:
        self.runtime = runtime
        self.clock = clock
        self.gateway = runtime.gateway
        self.config = runtime.settings.providers[NAME]

    def sync(self, resource: str = "students", **words: object) -> JobStatus:
        """Run a sync to its end."""
        job = self.gateway.sync(NAME, resource, **words)  # type: ignore[arg-type]  # as given
        (status,) = self.run([job.id])
        return status

    def run(self, job_ids: list[str]) -> list[JobStatus]:
        """Work until all jobs have ended; return what became of them."""
        ends_at = self.clock.monotonic() + PATIENCE_SECONDS
        for job_id in job_ids:
            planning.plan(self.runtime, job_id)
        while True:
            statuses = [self.gateway.jobs.status(job_id) for job_id in job_ids]
            if all(status.is_final for status in statuses):
                return statuses
            shown = [status.as_dict() for status in statuses]
            assert self.clock.monotonic() < ends_at, f"the jobs do not end: {shown}"
            self.work()

    def work(self) -> None:
        """Make the calls that are due, as admission would hand them out; else let time pass."""
        reconciler.reconcile(self.runtime)
        made = 0
        for call_id in self._queued():
            held = self.runtime.endpoints(self.config).breakers.open_seconds()
            if held:
                break
            execute.make_call(self.runtime, self.config, call_id)
            self.clock.advance(0.01)
            made += 1
        if not made:
            self.clock.advance(self._idle_seconds())

    def ids(self, resource: str = "students") -> set[str]:
        """Return the ids of the live records."""
        return {record.sourced_id for record in self.gateway.records(NAME, resource)}

    def changes(self, since: int, resource: str = "students") -> list[tuple[str, str]]:
        """Return operation and id of the changes above `since`."""
        found = self.gateway.changes(NAME, resource, since=since)
        return [(change.operation, change.sourced_id) for change in found]

    def _idle_seconds(self) -> float:
        """Return until when nothing is due: the breaker is open, or what waits does so for long."""
        held = self.runtime.endpoints(self.config).breakers.open_seconds()
        if held:
            return held + STEP_SECONDS
        with self.runtime.database.read() as session:
            waiting = select(func.min(tables.Call.not_before)).where(tables.Call.state == "planned")
            due = session.scalar(waiting)
        return max(0.0, (due - self.clock.now()).total_seconds() if due else 0.0) + STEP_SECONDS

    def _queued(self) -> list[int]:
        with self.runtime.database.read() as session:
            queued = select(tables.Call.id).where(tables.Call.state == "queued")
            order = (tables.Call.priority, tables.Call.published_at, tables.Call.id)
            return list(session.scalars(queued.order_by(*order)))
