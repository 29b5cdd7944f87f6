"""The fleet's tasks. Each takes ids and calls the module that does the work."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from celery import Celery, Task
from celery.signals import worker_init, worker_process_shutdown, worker_shutdown

from beat_schedule import beat_schedule
from sisgate.broker import CANCEL_TASK, LIMITS_TASK, PLAN_TASK, STATUS_TASK, SYNC_TASK, call_task
from sisgate.errors import BrokerUnavailable, DatabaseUnavailable, SisgateError
from sisgate.ledger import usage
from sisgate.ledger.expiry import expire_finer_rollups
from sisgate.logs import get_logger
from sisgate.privacy.retention import SCANS
from sisgate.settings import Settings
from workers.admission import rate_limits
from workers.admission.call_tasks import CallTasks
from workers.admission.messages import REFUSED
from workers.admission.permits import Permit
from workers.calls import execute
from workers.jobs import planning
from workers.jobs.app_tasks import AppTasks, EarlyCancels, Result, TaskMessage
from workers.jobs.replies import Replies
from workers.maintenance import audit, health, heartbeats, master_keys, rotation
from workers.runtime import RUNTIME, Runtime, RuntimeOfProcess
from workers.task_types import FleetTask, PeriodicTask

log = get_logger()

RETENTION_SECONDS, SCAN_SECONDS = 5.0, 30.0
"""How long one run deletes: a planner with one slot has other work. The next run continues."""

RETRY_SECONDS = 2.0
"""How long a task sent by an app waits for a database that is unavailable."""

ROTATE_SECONDS = VERIFY_SECONDS = 100
"""Key sources may be slow, and logs long. Less than the visibility timeout."""


def register(app: Celery, settings: Settings, registry: CallTasks) -> None:
    """Register the app's tasks and its schedule. `registry` is where Celery looks tasks up."""
    runtime = RuntimeOfProcess(settings)
    setattr(app, RUNTIME, runtime)
    _register_sync(app, runtime)
    registry.start(
        partial(_make_call_task, app, runtime), lambda: runtime().configuration.current().providers
    )
    _register_periodic(app, runtime)
    worker_init.connect(_refuse_missing_keys(runtime), weak=False)
    worker_init.connect(lambda **_: audit.note_start(runtime()), weak=False)
    if settings.traces != "off":
        for ends in (worker_process_shutdown, worker_shutdown):
            ends.connect(_send_spans(runtime), weak=False)
    heartbeats.watch_beat(app)
    heartbeats.watch_clock(app)

    app.conf.beat_schedule = beat_schedule
    app.conf.beat_scheduler = "workers.task_types:SteadyScheduler"
    app.conf.worker_consumer = "workers.admission.consumer:AdmittingConsumer"
    app.steps["worker"].add("workers.maintenance.duties:Duties")
    app.steps["consumer"].add("workers.admission.following:FollowConfiguration")
    app.steps["consumer"].add("workers.admission.bootstep:Admission")
    app.steps["consumer"].add("workers.maintenance.heartbeats:WorkerHeartbeat")


def _refuse_missing_keys(runtime: RuntimeOfProcess) -> Callable[..., None]:
    def begin(sender: Any = None, **_: Any) -> None:
        master_keys.refuse_missing_keys(runtime(), str(getattr(sender, "hostname", "worker")))

    return begin


def _send_spans(runtime: RuntimeOfProcess) -> Callable[..., None]:
    def end(**_: Any) -> None:
        if (spans := runtime().spans) is not None:
            spans.close()

    return end


def _retention(runtime: Runtime, *, scans: bool = False) -> None:
    """Delete expired rows; with `scans`, by the rules that scan whole tables."""
    swept = runtime.gateway.privacy.retention.run(
        actor="beat",
        only=lambda rule: (rule.name == SCANS) is scans,
        seconds=SCAN_SECONDS if scans else RETENTION_SECONDS,
    )
    for sweep in swept:
        if sweep.rows:
            log.info(
                "retention_deleted", rule=sweep.rule.name, finished=sweep.finished, rows=sweep.rows
            )


def _rollups(runtime: Runtime) -> None:
    """Count the calls of past hours, so that the calls may be deleted, and forget finer sums."""
    expire_finer_rollups(runtime.database, runtime.clock.now())
    for hour in usage.roll_up(runtime.database, runtime.clock.now()):
        log.info("usage_rolled_up", hour=hour.isoformat())


def _schedules(runtime: Runtime) -> None:
    def refused(name: str, provider: str, resource: str, error: SisgateError) -> None:
        log.warning(
            "schedule_refused", schedule=name, provider=provider, resource=resource,
            code=error.code, reason=error.message,
        )  # fmt: skip

    runtime.gateway.schedules.run_due(refused)


PERIODIC: Mapping[str, Callable[..., None]] = {
    "sisgate.retention": _retention,
    "sisgate.rollups": _rollups,
    "sisgate.schedules": _schedules,
    "sisgate.health": health.check,
    "sisgate.rotate": rotation.rotate,
    "sisgate.audit.seal": audit.seal,
    "sisgate.audit.head": audit.seal_and_keep_head,
    "sisgate.audit.verify": audit.verify,
}
"""What beat sends, by name."""


def _register_periodic(app: Celery, runtime: RuntimeOfProcess) -> None:
    """Register what beat sends, without events: several a second would flood Flower's list."""
    long = {"sisgate.rotate": ROTATE_SECONDS, "sisgate.audit.verify": VERIFY_SECONDS}

    def register_one(name: str, do: Callable[..., None], **options: Any) -> None:
        @app.task(name=name, base=PeriodicTask, send_events=False, **options)
        def run(**arguments: Any) -> None:
            do(runtime(), **arguments)

    for name, do in PERIODIC.items():
        seconds = long.get(name)
        limits = {} if seconds is None else {"soft_time_limit": seconds, "time_limit": seconds + 10}
        register_one(name, do, **limits)


def _register_sync(app: Celery, runtime: RuntimeOfProcess) -> None:
    replies = Replies(app, lambda: runtime().redis)

    def for_apps(name: str) -> Any:
        return app.task(
            name=name, base=FleetTask, bind=True, backend=replies, ignore_result=False,
            max_retries=None,
        )  # fmt: skip

    def answer(
        task: Any, args: Sequence[Any], kwargs: Mapping[str, Any], do: Callable[..., Result]
    ) -> Result:
        """Execute a message; retry while the database is unavailable, since the sender has gone.

        Without the database a planner has nothing else to do, so it waits here; a countdown would
        end by the clock of whichever host receives the message next.
        """
        own = runtime()
        apps = AppTasks(own.gateway, own.broker_authorizer, EarlyCancels(own.redis))
        refused = str(getattr(task.request, REFUSED, ""))
        try:
            return do(apps, TaskMessage(task.name, args, kwargs, refused))
        except DatabaseUnavailable as error:
            own.clock.sleep(RETRY_SECONDS)
            raise task.retry(exc=error, countdown=0) from error

    @for_apps(SYNC_TASK)
    def sync(self: Any, *args: Any, **kwargs: Any) -> Result:
        """Accept a sync from another Celery app; the task's id becomes the job's."""
        return answer(self, args, kwargs, partial(AppTasks.sync, job_id=str(self.request.id)))

    @for_apps(CANCEL_TASK)
    def cancel(self: Any, *args: Any, **kwargs: Any) -> Result:
        """Cancel a job of another Celery app."""
        return answer(self, args, kwargs, AppTasks.cancel)

    @for_apps(STATUS_TASK)
    def status(self: Any, *args: Any, **kwargs: Any) -> Result:
        """Return the status of another Celery app's job."""
        return answer(self, args, kwargs, AppTasks.status)

    @app.task(name=LIMITS_TASK, base=FleetTask)
    def set_limits(provider: str, limit: str | float | None) -> None:
        """Set the fleet's limit to the value of Celery's `rate_limit`; 0 or None resets it.

        Anybody who can push a message can send this task, so it trusts no sender.
        """
        rate_limits.set_fleet_limit(runtime(), provider, limit)

    @app.task(name=PLAN_TASK, base=FleetTask, Request="workers.admission.bootstep:PlanRequest")
    def plan(job_id: str) -> None:
        planning.plan(runtime(), job_id)


def _make_call_task(app: Celery, runtime: RuntimeOfProcess, provider: str) -> Task:
    """Return the call task of a provider, which is configured by the time of a call."""

    @app.task(
        name=call_task(provider),
        base=FleetTask,
        bind=True,
        Request="workers.admission.bootstep:CallRequest",
        lazy=False,
        shared=False,
    )
    def call(self: Any, call_id: int) -> str:
        own, permit = runtime(), Permit.of_message(getattr(self.request, "sisgate_permit", None))
        fleet = own.configuration.current()
        if permit is not None and fleet.version < permit.version:
            fleet = own.configuration.refresh()
        config = fleet.providers.get(provider)
        if config is not None:
            # From here to its record, the call keeps this configuration.
            return execute.make_call(own, config, call_id, permit)
        if permit is not None:
            # Removed while the message was on its way; removing it has ended the call.
            with suppress(BrokerUnavailable):
                own.limiter.hand_back(provider, permit.id)
        return "the provider was removed"

    task: Task = call
    return task
