"""A provider's limit as set by Celery's own means: `control.rate_limit`, Flower, by name.

Anyone who can write to the broker can send these, so they may lower a limit but not raise it above
the configuration, unless that sets `broker_may_raise_limits`. Two of Celery's remote control
commands are replaced by name: `rate_limit`, which `control.rate_limit` and Flower's form send, and
`registered`, from which Flower shows the limits.
"""

import math
from collections.abc import Sequence
from typing import Any

from celery.worker import control
from kombu.exceptions import OperationalError

from sisgate.access.policy import Action
from sisgate.broker import CALL_TASK_PREFIX, LIMITS_TASK, call_task
from sisgate.domain.rates import Rate
from sisgate.errors import AccessDenied, BrokerUnavailable, SisgateError, UsageError
from sisgate.logs import get_logger
from sisgate.redis.errors import RedisError
from sisgate.settings import ProviderConfig
from workers.runtime import Runtime, runtime_of

log = get_logger()


def windows_asked(
    limit: object, config: ProviderConfig, *, may_raise: bool
) -> tuple[Rate, ...] | None:
    """Return the windows that a `rate_limit` stands for; None to restore the configured ones.

    A bare number is a number of calls per period of the provider's tightest window. Configured
    windows that the new rate does not imply stay in force besides it.
    Raises `UsageError` for an invalid limit, and `AccessDenied` for more than is configured.
    """
    name, configured = config.name, config.windows
    if not configured:
        raise UsageError(
            f"The limit of {name} is off in the configuration. Set one there first; then it can be "
            "changed at run time."
        )
    tightest = min(configured, key=lambda rate: rate.per_second)
    text = "0" if limit is None else f"{limit:g}" if isinstance(limit, float) else str(limit)
    calls = text.partition("/")[0].strip()
    try:
        if not isinstance(limit, bool) and calls.isdecimal() and int(calls) == 0:
            return None
        is_bare = calls == text.strip() and calls.isdecimal()
        rate = Rate.parse(f"{calls}/{tightest.period_seconds}s" if is_bare else text)
    except ValueError:
        raise UsageError(
            f"{text[:40]!r} is not a limit. Use a rate such as 500/h, 20/s or 60/10s, or a whole "
            f"number: 500 is {Rate(500, tightest.period_seconds)} for {name}. 0 resets it to the "
            f"configured {shown(configured)}."
        ) from None
    if not may_raise and _is_faster(rate, tightest):
        raise AccessDenied(
            f"{rate} is more than the configured limit of {name}, {shown(configured)}. Remote "
            "control, Flower and messages can lower a limit, not raise it: use `sisgate limits "
            f"set {name} {rate}`, or set broker_may_raise_limits in the configuration."
        )
    kept = (w for w in configured if not _is_faster(rate, w) and not _implies(rate, w))
    return (rate, *kept)


def set_fleet_limit(runtime: Runtime, provider: str, limit: object) -> None:
    """Set the fleet's limit; a refusal is logged, and audited if access was denied."""
    try:
        control = runtime.gateway.providers.control(str(provider))
        fleet = runtime.configuration.current()
        config, may_raise = fleet.providers[provider], fleet.broker_may_raise_limits
        windows = windows_asked(limit, config, may_raise=may_raise)
        texts = None if windows is None else [str(rate) for rate in windows]
        control.set_limits(texts, actor="celery", reason="control.rate_limit")
    except (AccessDenied, UsageError) as error:
        log.warning("limit_refused", provider=str(provider)[:63], code=error.code)
        if isinstance(error, AccessDenied):
            runtime.broker_authorizer.note_refusal(Action.CONTROL, provider, error.message)


def shown(windows: Sequence[Rate]) -> str:
    """Return limits as people write them."""
    return ", ".join(map(str, windows))


def _is_faster(rate: Rate, than: Rate) -> bool:
    return rate.calls * than.period_seconds > than.calls * rate.period_seconds


def _implies(rate: Rate, window: Rate) -> bool:
    """Whether a window can never be exceeded while a rate holds."""
    return rate.calls * math.ceil(window.period_seconds / rate.period_seconds) <= window.calls


def celery_rate(windows: Sequence[Rate]) -> str | None:
    """Return the tightest limit as Celery writes it, for Flower and `inspect` to show.

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


celery_registered = control.Panel.data["registered"]


@control.control_command(
    args=[("task_name", str), ("rate_limit", str)],
    signature="<task_name> <rate_limit (e.g., 500/h | 500 | 0)>",
)
def rate_limit(state: Any, task_name: str, rate_limit: Any, **_: Any) -> Any:
    """Set the fleet's limit of a provider, stored in the ledger; the reply states the result.

    Every worker that receives this sends the same task, even if it knows the limit already: it may
    have been changed elsewhere since. The worker's main process opens no connection to the
    database, because it forks.
    """
    settings = runtime_of(state.app).configuration.current()
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
    message = f"{config.name}: {shown(windows or config.windows)} for the whole fleet"
    return control.ok(message if windows else f"{message}, as configured")


@control.inspect_command(
    alias="dump_tasks", variadic="taskinfoitems", signature="[attr1 [attr2 [... [attrN]]]]"
)
def registered(state: Any, **arguments: Any) -> Any:
    """List the registered tasks, call tasks with their current limit."""
    runtime = runtime_of(state.app)
    configs = runtime.configuration.current().providers
    try:
        overrides = runtime.limiter.overrides(list(configs))
    except BrokerUnavailable:
        overrides = {}
    for name, windows in overrides.items():
        task = state.app.tasks[call_task(name)]
        task.rate_limit = celery_rate(windows or configs[name].windows)
    return celery_registered(state, **arguments)
