"""The tasks of the fleet. Each takes ids and hands over to the module that does the work."""

from __future__ import annotations

from typing import Any

import structlog
from celery import Celery
from celery.signals import worker_init

from beat_schedule import beat_schedule
from sisgate.broker import LIMITS_TASK, PLAN_TASK, SYNC_TASK, Limits, call_task
from sisgate.domain.rates import Rate
from sisgate.errors import DatabaseUnavailable
from sisgate.ledger import usage
from sisgate.privacy.retention import SCANS
from sisgate.settings import ProviderConfig, Settings
from workers import asked, auditing, calls, health, heartbeats, planning, reconciler, rotation
from workers.admit import Permit
from workers.runtime import RUNTIME, RuntimeOfProcess

log = structlog.get_logger()

RETENTION_SECONDS, SCAN_SECONDS = 5.0, 30.0
"""How long one run deletes: a planner with one slot has other things to do. The rest goes next."""

ROTATE_SECONDS = 100
"""Key sources may be slow. Less than the visibility timeout; what is left is for the next run."""


def register(app: Celery, settings: Settings) -> None:
    """Give the app its tasks and its schedule."""
    runtime = RuntimeOfProcess(app, settings)
    setattr(app, RUNTIME, runtime)
    _register_sync(app, runtime)
    for config in settings.providers.values():
        _register_call(app, runtime, config)

    _register_reconciler(app, runtime)
    _register_upkeep(app, runtime)
    _register_audit(app, runtime, settings)
    heartbeats.watch_beat(app)

    app.conf.beat_schedule = beat_schedule
    app.conf.worker_consumer = "workers.consumer:AdmittingConsumer"
    app.steps["consumer"].add("workers.admission:Admission")
    app.steps["consumer"].add("workers.heartbeats:WorkerHeartbeat")


def _register_reconciler(app: Celery, runtime: RuntimeOfProcess) -> None:
    @app.task(name="sisgate.reconcile")
    def reconcile() -> None:
        reconciler.reconcile(runtime())

    @app.task(name="sisgate.redeliver")
    def redeliver() -> None:
        reconciler.redeliver(runtime())

    @app.task(name="sisgate.age")
    def age() -> None:
        reconciler.age(runtime())


def _register_upkeep(app: Celery, runtime: RuntimeOfProcess) -> None:
    @app.task(name="sisgate.retention")
    def retention(*, scans: bool = False) -> None:
        """Delete what is over; with `scans` by the rules that go through whole tables."""
        swept = runtime().gateway.retention.run(
            actor="beat",
            only=lambda rule: (rule.name == SCANS) is scans,
            seconds=SCAN_SECONDS if scans else RETENTION_SECONDS,
        )
        for one in swept:
            if one.rows:
                log.info("retention_deleted", rule=one.rule.name, finished=one.finished, **one.rows)

    @app.task(name="sisgate.rollups")
    def rollups() -> None:
        """Count the calls of the hours that are over, so that the calls may be deleted."""
        for hour in usage.roll_up(runtime().database, runtime().clock.now()):
            log.info("usage_rolled_up", hour=hour.isoformat())

    @app.task(name="sisgate.schedules")
    def schedules() -> None:
        runtime().gateway.schedules.run_due(
            lambda name, resource, error: log.warning(
                "schedule_refused", schedule=name, resource=resource, code=error.code,
                reason=error.message,
            )
        )  # fmt: skip

    @app.task(name="sisgate.health")
    def check_health() -> None:
        health.check(runtime())

    @app.task(name="sisgate.rotate", soft_time_limit=ROTATE_SECONDS, time_limit=ROTATE_SECONDS + 10)
    def rotate() -> None:
        rotation.rotate(runtime())


def _register_audit(app: Celery, runtime: RuntimeOfProcess, settings: Settings) -> None:
    @app.task(name="sisgate.audit.seal")
    def audit_seal() -> None:
        auditing.seal(runtime())

    @app.task(name="sisgate.audit.head")
    def audit_head() -> None:
        auditing.seal_and_keep_head(runtime())

    @worker_init.connect(weak=False)
    def note_start(**_: Any) -> None:
        auditing.note_start(settings)


def _register_sync(app: Celery, runtime: RuntimeOfProcess) -> None:
    @app.task(name=SYNC_TASK, bind=True, max_retries=None, default_retry_delay=5)
    def sync(self: Any, *args: Any, **kwargs: Any) -> None:
        """Accept a sync that another Celery app asks for; the task's id becomes the job's."""
        try:
            own = runtime()
            asked.accept(own.gateway, own.broker_gate, str(self.request.id), args, kwargs)
        except DatabaseUnavailable as error:
            # The asker has gone: nobody but this message knows of the sync.
            raise self.retry(exc=error) from error

    @app.task(name=LIMITS_TASK)
    def set_limits(provider: str, limit: str | float | None) -> None:
        """Set the fleet's limit to what Celery's `rate_limit` was set to; 0 or None ends that."""
        control = runtime().gateway.control(provider)
        control.set_limits(fleet_rate(limit), actor="celery", reason="control.rate_limit")

    @app.task(name=PLAN_TASK)
    def plan(job_id: str) -> None:
        planning.plan(runtime(), job_id)


def _register_call(app: Celery, runtime: RuntimeOfProcess, config: ProviderConfig) -> None:
    limits = Limits.of(config)

    @app.task(
        name=call_task(config.name),
        bind=True,
        Request="workers.admission:CallRequest",
        rate_limit=celery_rate(config.windows),
        soft_time_limit=limits.soft,
        time_limit=limits.hard,
    )
    def call(self: Any, call_id: int) -> None:
        permit = Permit.of_message(getattr(self.request, "sisgate_permit", None))
        calls.make(runtime(), config, call_id, permit)


def celery_rate(windows: tuple[Rate, ...]) -> str | None:
    """Return the tightest limit in Celery's words, for Flower and `inspect` to show.

    >>> celery_rate((Rate.parse("1000/h"),))
    '1000/h'
    >>> celery_rate((Rate.parse("60/10s"), Rate.parse("20/s")))
    '21600/h'
    """
    if not windows:
        return None
    tightest = min(windows, key=lambda rate: rate.per_second)
    units = {1.0: "s", 60.0: "m", 3600.0: "h"}
    if (unit := units.get(tightest.period_seconds)) is not None:
        return f"{tightest.calls}/{unit}"
    return f"{tightest.per_second * 3600:g}/h"


def fleet_rate(limit: str | float | None) -> str | None:
    """Return a `rate_limit` of Celery as a rate of ours, None for none.

    >>> fleet_rate("500/h"), fleet_rate("10"), fleet_rate(0)
    ('500/h', '10/s', None)
    """
    if not limit:
        return None
    text = f"{limit:g}" if isinstance(limit, int | float) else limit
    return text if "/" in text else f"{text}/s"
