"""The limit of a provider as Celery's own means set it: `control.rate_limit`, Flower, by name.

Whoever can write to the broker can send these, so they lower a limit and never raise it above the
configuration, unless that says `broker_may_raise_limits`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import structlog

from sisgate.access.policy import Action
from sisgate.domain.rates import Rate
from sisgate.errors import AccessDenied, UsageError
from sisgate.settings import ProviderConfig
from workers.runtime import Runtime

log = structlog.get_logger()


def windows_asked(
    limit: object, config: ProviderConfig, *, may_raise: bool
) -> tuple[Rate, ...] | None:
    """Return the windows that a `rate_limit` stands for; None where the configured ones hold again.

    A bare number is so many calls in the provider's own period, that of its tightest window.
    Configured windows that the new rate does not imply stay in force beside it.
    Raises `UsageError` for what is no limit, and `AccessDenied` for more than is configured.
    """
    name, configured = config.name, config.windows
    if not configured:
        raise UsageError(
            f"The limit of {name} is off in the configuration. Give it a limit there first; then "
            "it can be changed at run time."
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
            f"{text[:40]!r} is no limit. Write a rate such as 500/h, 20/s or 60/10s, or a whole "
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
    """Set the limit of the fleet; what may not be set is logged, and in the audit log if denied."""
    try:
        control = runtime.gateway.providers.control(str(provider))
        config = runtime.settings.providers[provider]
        may_raise = runtime.settings.broker_may_raise_limits
        windows = windows_asked(limit, config, may_raise=may_raise)
        texts = None if windows is None else [str(rate) for rate in windows]
        control.set_limits(texts, actor="celery", reason="control.rate_limit")
    except (AccessDenied, UsageError) as error:
        log.warning("limit_refused", provider=str(provider)[:63], code=error.code)
        if isinstance(error, AccessDenied):
            runtime.broker_authorizer.note_refusal(Action.CONTROL, provider, error.message)


def shown(windows: Sequence[Rate]) -> str:
    """Return limits as a person writes them."""
    return ", ".join(map(str, windows))


def _is_faster(rate: Rate, than: Rate) -> bool:
    return rate.calls * than.period_seconds > than.calls * rate.period_seconds


def _implies(rate: Rate, window: Rate) -> bool:
    """Whether a window can never be passed while a rate holds."""
    return rate.calls * math.ceil(window.period_seconds / rate.period_seconds) <= window.calls


def celery_rate(windows: Sequence[Rate]) -> str | None:
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
