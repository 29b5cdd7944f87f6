"""Celery's remote control where it is about limits, which are the fleet's and not a worker's.

Replaces two of Celery's commands, by their names: `rate_limit`, which `control.rate_limit` and
Flower's form send, and `registered`, from which Flower shows the limits.
"""

from __future__ import annotations

from typing import Any

import structlog
from celery.worker import control
from kombu.exceptions import OperationalError
from redis import RedisError

from sisgate.broker import CALL_TASK_PREFIX, LIMITS_TASK, call_task
from sisgate.errors import BrokerUnavailable, SisgateError
from workers.admission.rate_limits import celery_rate, shown, windows_asked

log = structlog.get_logger()

celery_registered = control.Panel.data["registered"]


@control.control_command(
    args=[("task_name", str), ("rate_limit", str)],
    signature="<task_name> <rate_limit (e.g., 500/h | 500 | 0)>",
)
def rate_limit(state: Any, task_name: str, rate_limit: Any, **_: Any) -> Any:
    """Set the fleet's limit of a provider, kept in the ledger; the reply says what became of it.

    Every worker that hears of it sends the same task, whether it has heard of that limit before or
    not: it may have been changed elsewhere since. The worker's own process opens no connection to
    the database, because it forks.
    """
    settings = state.app.sisgate_runtime().settings
    config = settings.providers.get(task_name.removeprefix(CALL_TASK_PREFIX))
    if config is None or task_name != call_task(config.name):
        names = ", ".join(call_task(name) for name in settings.providers)
        return control.nok(f"{task_name} has no limit; these have: {names}")
    try:
        windows = windows_asked(rate_limit, config, may_raise=settings.broker_may_raise_limits)
        state.app.send_task(LIMITS_TASK, kwargs={"provider": config.name, "limit": rate_limit})
    except SisgateError as error:
        log.warning("limit_refused", provider=config.name, code=error.code)
        return control.nok(error.message)
    except (OperationalError, RedisError, OSError) as error:
        return control.nok(f"Redis cannot be reached ({type(error).__name__}); nothing was set")
    state.app.tasks[task_name].rate_limit = celery_rate(windows or config.windows)
    said = f"{config.name}: {shown(windows or config.windows)} for the whole fleet"
    return control.ok(said if windows else f"{said}, as configured")


@control.inspect_command(
    alias="dump_tasks",
    variadic="taskinfoitems",
    signature="[attr1 [attr2 [... [attrN]]]]",
)
def registered(state: Any, **arguments: Any) -> Any:
    """List the registered tasks, those of calls with the limit that holds now."""
    runtime = state.app.sisgate_runtime()
    configs = runtime.settings.providers
    try:
        overrides = runtime.limiter.overrides(list(configs))
    except BrokerUnavailable:
        overrides = {}
    for name, windows in overrides.items():
        task = state.app.tasks[call_task(name)]
        task.rate_limit = celery_rate(windows or configs[name].windows)
    return celery_registered(state, **arguments)
