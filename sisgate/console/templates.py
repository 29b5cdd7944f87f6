"""The templates, and how they write times, numbers and states."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sisgate.clock import Clock
from sisgate.domain.figures import (
    budget_left,
    counted,
    duration,
    figures_text,
    latency,
    number,
    percent,
)
from sisgate.domain.sentences import as_sentence, capitalised

TONES = {
    "done": "good", "closed": "good", "active": "good", "alive": "good", "ready": "good",
    "running": "busy", "accepted": "plain", "queued": "plain", "planned": "plain",
    "held": "warn", "half-open": "warn", "half_open": "warn", "expired": "warn", "unknown": "warn",
    "paused": "warn", "draining": "warn", "canary": "busy", "staged": "plain",
    "failed": "bad", "failing": "bad", "open": "bad", "revoked": "bad", "silent": "bad",
    "firing": "bad", "acknowledged": "busy", "pending": "plain", "resolved": "good",
    "critical": "bad", "warning": "warn", "info": "plain", "ended": "plain",
    "cancelled": "plain", "retired": "plain",
    "spike": "bad", "new": "warn", "rising": "warn", "steady": "plain", "falling": "good",
    "live": "good", "deleted": "plain", "insert": "good", "update": "busy", "delete": "bad",
    "up to date": "good", "behind": "busy", "met": "good", "missed": "bad", "lost": "bad",
    "delivered": "good", "sending": "busy", "dead": "bad",
}  # fmt: skip
"""The tone of a state. The state itself is always written beside it."""

SIGNS = {"good": "✓", "bad": "✕", "warn": "!", "busy": "▸", "plain": "·"}


class Templates:
    """Renders templates, with a clock for ages; `assets` is in the addresses of static files."""

    def __init__(self, clock: Clock, assets: str) -> None:
        self._clock = clock
        self._env = Environment(
            loader=PackageLoader("sisgate.console"), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip
        self._env.filters |= {
            "age": self.age, "due": self.due, "at": at, "number": number, "badge": badge,
            "lasting": lasting, "short": short, "hour": hour, "percent": percent,
            "budget": budget_left, "latency": latency, "sentence": as_sentence,
            "capitalised": capitalised, "counted": counted, "figures": figures_text,
            "setting": setting,
        }  # fmt: skip
        self._env.globals |= {"address": address, "assets": assets}
        self._env.globals["parts"] = self._env.get_template("parts.html").module

    def page(self, name: str, values: Mapping[str, Any]) -> str:
        """Return a whole page."""
        template = self._env.get_template(name)
        is_live = "live" in template.blocks and not values.get("mistake")
        return template.render({**values, "is_live": is_live})

    def live(self, name: str, values: Mapping[str, Any]) -> str | None:
        """Return the part of a page that is kept up to date; None if it has none."""
        template = self._env.get_template(name)
        block = template.blocks.get("live")
        return "".join(block(template.new_context(dict(values)))) if block else None

    def age(self, value: datetime | str | None) -> str | Markup:
        """Return how long ago something was, or in how long it will be."""
        moment = _moment(value)
        if moment is None:
            return "-"
        seconds = (self._clock.now() - moment).total_seconds()
        if abs(seconds) < 1:
            return Markup('<time datetime="{}">now</time>').format(moment.isoformat())
        words = f"{rounded(seconds)} ago" if seconds >= 0 else f"in {rounded(-seconds)}"
        return Markup('<time datetime="{}" title="{}">{}</time>').format(
            moment.isoformat(), _utc(moment), words
        )

    def due(self, value: datetime | str | None) -> str | Markup:
        """Return in how long something is expected: now, if that was a moment ago."""
        moment = _moment(value)
        return self.age(max(moment, self._clock.now()) if moment is not None else None)


def setting(value: object) -> str:
    """Return a value of the configuration.

    >>> setting(True), setting(None)
    ('true', 'not set')
    """
    return "not set" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def _moment(value: datetime | str | None) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def at(value: datetime | str | None) -> str | Markup:
    """Return a time in UTC."""
    moment = _moment(value)
    if moment is None:
        return "-"
    return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(), _utc(moment))


def hour(seconds: int) -> str:
    """Return the hour that begins so many seconds after 1970, in UTC.

    >>> hour(1_795_953_600)
    'Nov 29 12:00'
    """
    return f"{datetime.fromtimestamp(seconds, UTC):%b %d %H:%M}"


def rounded(seconds: float) -> str:
    """Return an age: no finer than it is read at a glance, nor than a page has to be renewed.

    >>> [rounded(s) for s in (3.2, 42, 75, 3599, 7200)]
    ['3 s', '42 s', '1 min', '59 min', '2 h']
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{int(seconds // 60)} min" if seconds < 3600 else duration(seconds)


def lasting(seconds: float | None) -> str:
    """Return a length of time, or a dash."""
    return "-" if seconds is None else duration(seconds)


def short(job_id: str) -> str:
    """Return the beginning of an id, as lists show it."""
    return job_id[:8]


def badge(state: Any) -> Markup:
    """Return a state as a badge: a sign, the word, and a colour."""
    word = str(getattr(state, "value", state))
    tone = TONES.get(word, "plain")
    return Markup('<span class="badge {}"><span aria-hidden="true">{}</span> {}</span>').format(
        tone, SIGNS[tone], word
    )


def address(path: str, **query: Any) -> str:
    """Return an address with those parameters that have a value.

    >>> address("/jobs", q="state:failed", after=None)
    '/jobs?q=state%3Afailed'
    """
    kept = {name: value for name, value in query.items() if value not in {None, ""}}
    return f"{path}?{urlencode(kept)}" if kept else path
