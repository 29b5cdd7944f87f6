"""Deprecated names of the gateway. The next version removes them."""

import warnings
from collections.abc import Callable
from operator import attrgetter
from typing import Any

MOVED = {
    "provider": "providers.get",
    "control": "providers.control",
    "breakers": "providers.breakers",
    "hold": "providers.hold",
    "usage": "providers.usage",
    "check_dataset": "datasets.check",
    "roster": "datasets.roster",
    "absent": "datasets.absent",
    "cursor": "datasets.cursor",
    "begin_feeds_anew": "datasets.begin_feeds_anew",
    "job_status": "jobs.status",
    "statuses": "jobs.statuses",
    "wait_for": "jobs.wait",
    "ended_within": "jobs.ended_within",
    "cancel": "jobs.cancel",
    "dead": "jobs.dead",
    "retry": "jobs.retry",
    "resolve": "jobs.resolve",
    "request_target": "jobs.request_target",
    "expected": "jobs.expected",
    "waits_for": "jobs.waits_for",
    "refuse": "jobs.refuse",
    "liveness": "fleet.liveness",
    "metrics": "fleet.metrics",
    "authenticate": "tokens.authenticate",
    "retention": "privacy.retention",
    "erase": "privacy.erase",
    "lift": "privacy.lift",
    "pseudonyms": "privacy.pseudonyms",
    "database": "context.database",
    "clock": "context.clock",
    "redis": "context.redis",
    "wakeups": "context.wakeups",
    "limiter": "context.limiter",
}
"""Old names of attributes and methods, with their new places."""


def moved(gateway: object, name: str) -> Any:
    """Return what an old name refers to; `AttributeError` for an unknown name."""
    if name == "master_keys":
        _warn("master_keys()", "keys.master", 4)
        return lambda: attrgetter("keys.master")(gateway)
    if name not in MOVED:
        raise AttributeError(f"{type(gateway).__name__!r} object has no attribute {name!r}")
    _warn(name, MOVED[name], 4)
    return attrgetter(MOVED[name])(gateway)


def called(old: str, new: str) -> Callable[..., Any]:
    """Return a `__call__` for a part that replaces a method of the same name."""

    def call(part: object, *positional: Any, **keywords: Any) -> Any:
        _warn(f"{old}()", f"{old}.{new}()", 3)
        return getattr(part, new)(*positional, **keywords)

    return call


def _warn(name: str, place: str, stacklevel: int) -> None:
    warnings.warn(
        f"Gateway.{name} is now Gateway.{place}; the next version removes the old name.",
        DeprecationWarning,
        stacklevel=stacklevel,
    )
