"""Which jobs are looked for, as people write it: `state:failed provider:lincoln since:2h`. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sisgate.domain.moments import parse_duration
from sisgate.domain.priorities import Priority
from sisgate.domain.states import JobKind, JobState
from sisgate.domain.validation import chosen
from sisgate.errors import UsageError

QUALIFIERS: Mapping[str, str] = {
    "state": "accepted, running, done, held, failed, cancelled, expired or unknown; repeatable",
    "provider": "a provider",
    "resource": "a dataset, such as students",
    "app": "the app that enqueued it",
    "kind": "sync or request",
    "priority": "urgent, high, normal or low",
    "error": "the code of its error",
    "since": "accepted since: 30m, 2h, 1d, or a time",
    "until": "accepted before: the same",
    "is": "dead: given up and not retried; unretried; or unapproved: held, and still waiting",
}
"""What can stand before the colon, and what behind it."""

VALUES: Mapping[str, tuple[str, ...]] = {
    "state": tuple(JobState),
    "kind": tuple(JobKind),
    "priority": tuple(each.word for each in Priority),
    "since": ("30m", "1h", "6h", "1d", "7d"),
    "until": ("30m", "1h", "6h", "1d", "7d"),
    "is": ("dead", "unretried", "unapproved"),
}
"""What screens and shells suggest behind the colon; others depend on the configuration."""

_ID = re.compile(r"[0-9a-f][0-9a-f-]{0,35}")


@dataclass(frozen=True)
class JobFilter:
    """Conditions that all hold; None and empty mean any. Times are aware.

    `beginning` is that of the id. `dead`: given up and not retried; `unretried`: just the latter.
    `unapproved`: a held sync whose deletions still wait for approval.
    """

    states: tuple[JobState, ...] = ()
    provider: str | None = None
    resource: str | None = None
    app: str | None = None
    kind: JobKind | None = None
    priority: Priority | None = None
    error: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    beginning: str | None = None
    dead: bool = False
    unretried: bool = False
    unapproved: bool = False

    @classmethod
    def parse(cls, text: str, now: datetime) -> JobFilter:
        """Return the filter that a text describes; `UsageError` names the word that is wrong.

        >>> now = datetime(2026, 11, 29, 12, tzinfo=UTC)
        >>> found = JobFilter.parse("state:failed state:expired app:gradebook since:2h", now)
        >>> found.states, found.app, found.since.hour
        ((<JobState.FAILED: 'failed'>, <JobState.EXPIRED: 'expired'>), 'gradebook', 10)
        """
        found = cls()
        for word in text.split():
            name, colon, value = word.partition(":")
            if not colon and _ID.fullmatch(word.lower()):
                found = replace(found, beginning=word.lower())
            elif not colon or name not in QUALIFIERS:
                known = ", ".join(f"{each}:" for each in QUALIFIERS)
                raise UsageError(f"{word!r} is no filter. Begin a job's id, or write {known}")
            elif not value:
                raise UsageError(f"{name}: takes {QUALIFIERS[name]}.")
            else:
                found = replace(found, **_READERS[name](found, value, now))
        return found


def pinned(text: str, now: datetime) -> str:
    """Return a filter that finds the same at any later time: no job accepted after `now`.

    >>> pinned("state:failed since:2h", datetime(2026, 11, 29, 12, tzinfo=UTC))
    'state:failed since:2026-11-29T10:00:00+00:00 until:2026-11-29T12:00:00+00:00'
    """
    found = JobFilter.parse(text, now)
    words = [word for word in text.split() if not word.startswith(("since:", "until:"))]
    if found.since is not None:
        words.append(f"since:{found.since.isoformat()}")
    return " ".join([*words, f"until:{min(found.until or now, now).isoformat()}"])


def _state(found: JobFilter, value: str, _now: datetime) -> dict[str, Any]:
    state = JobState(chosen("state", JobState, value))
    return {"states": tuple(dict.fromkeys([*found.states, state]))}


def _named(name: str) -> Callable[[JobFilter, str, datetime], dict[str, Any]]:
    return lambda _found, value, _now: {name: value}


def _kind(_found: JobFilter, value: str, _now: datetime) -> dict[str, Any]:
    return {"kind": JobKind(chosen("kind", JobKind, value))}


def _priority(_found: JobFilter, value: str, _now: datetime) -> dict[str, Any]:
    return {"priority": Priority[chosen("priority", [p.word for p in Priority], value).upper()]}


def _time(name: str) -> Callable[[JobFilter, str, datetime], dict[str, Any]]:
    def read(_found: JobFilter, value: str, now: datetime) -> dict[str, Any]:
        with suppress(ValueError):
            return {name: now - parse_duration(value)}
        with suppress(ValueError):
            moment = datetime.fromisoformat(value)
            return {name: moment if moment.tzinfo else moment.replace(tzinfo=UTC)}
        raise UsageError(f"{name}: takes {QUALIFIERS['since']}.")

    return read


def _is(_found: JobFilter, value: str, _now: datetime) -> dict[str, Any]:
    return {chosen("the value of is:", VALUES["is"], value): True}


_READERS: Mapping[str, Callable[[JobFilter, str, datetime], dict[str, Any]]] = {
    "state": _state, "provider": _named("provider"), "resource": _named("resource"),
    "app": _named("app"), "kind": _kind, "priority": _priority, "error": _named("error"),
    "since": _time("since"), "until": _time("until"), "is": _is,
}  # fmt: skip
