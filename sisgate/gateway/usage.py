"""Calls by provider and app, and their results."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import get_args

from sisgate.access.policy import Action
from sisgate.domain.choices import Span
from sisgate.domain.validation import aware, chosen
from sisgate.gateway.core import Core
from sisgate.ledger import usage as ledger
from sisgate.ledger.schema import UsageHour

SINCE = timedelta(days=1)
_COUNTS = ("calls", "throttled", "failed", "rows", "unsent")

_BEGINNINGS: Mapping[str, Callable[[datetime], datetime | None]] = {
    "total": lambda _: None,
    "day": lambda hour: hour.replace(hour=0),
    "hour": lambda hour: hour,
}


@dataclass(frozen=True)
class Usage:
    """One app's calls to one provider, in the period that begins at `begin` or in total.

    `calls` counts attempts; of them, `throttled` got a 429 and `failed` a 5xx or no response, of
    which `unsent` could not be sent: they count against no quota. `rows` came with successful
    responses.
    """

    begin: datetime | None
    provider: str
    app: str
    calls: int
    throttled: int
    failed: int
    rows: int
    unsent: int = 0


def read_usage(
    core: Core,
    provider: str | None,
    app: str | None,
    since: datetime | None,
    until: datetime | None,
    by: str,
) -> list[Usage]:
    """Return the usage that the caller may see; an app sees only its own."""
    by = chosen("by", get_args(Span), by)
    since, until = aware("since", since), aware("until", until)
    if provider is not None:
        core.provider(provider)
        core.access.require_any(Action.LOOK, provider)
    principal = core.access.require_role(Action.LOOK)
    if not principal.sees_all_jobs:
        app = principal.name
    now = core.clock.now()
    since = ledger.hour_of(since or now - SINCE)
    with core.database.read() as session:
        hours = ledger.counted(session, since, until or now, provider, app, now)
    visible = [hour for hour in hours if core.access.allows(Action.LOOK, hour.provider)]
    return summed(visible, _BEGINNINGS[by])


def summed(
    hours: Iterable[UsageHour], begin_of: Callable[[datetime], datetime | None]
) -> list[Usage]:
    """Return the sums by time, provider and app, in order of appearance."""
    sums: dict[tuple[datetime | None, str, str], Counter[str]] = {}
    for hour in hours:
        key = (begin_of(hour.hour), hour.provider, hour.app)
        sums.setdefault(key, Counter()).update({name: getattr(hour, name) for name in _COUNTS})
    return [Usage(*key, *(counts[name] for name in _COUNTS)) for key, counts in sums.items()]
