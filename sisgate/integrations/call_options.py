"""How a request is made: what the app sets, and what its callers may ask for by header. Pure.

The headers are `X-SIS-Priority`, `X-SIS-Timeout`, `X-SIS-On-Unavailable`, `X-SIS-Max-Age`,
`X-SIS-Purpose` and `X-SIS-Transform`. Anyone may shorten their own wait by `Prefer: wait=N` or
`respond-async` (RFC 7240).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from sisgate.domain.prefer import preference_of
from sisgate.domain.priorities import Priority
from sisgate.domain.validation import chosen
from sisgate.errors import AccessDenied, UsageError

PREFIX = "x-sis-"
NAMES = ("priority", "timeout", "on-unavailable", "max-age", "purpose", "transform")
PURPOSE_CHARACTERS = 200


@dataclass(frozen=True, kw_only=True)
class CallOptions:
    """How requests are made, and the bounds of what headers may ask for.

    A caller waits `timeout` seconds, and then gets a job in place of the answer if the call can
    still be made within `keep` more seconds. With `keep` 0, it is withdrawn.
    """

    priority: str = "urgent"
    highest_priority: str = "urgent"
    timeout: float = 10.0
    longest_timeout: float = 60.0
    keep: float = 60.0
    on_unavailable: str = "wait"
    max_age: float | None = None
    longest_max_age: float = 86400.0
    purpose: str | None = None
    transform: str | None = None

    def __post_init__(self) -> None:
        """Check the values, so that a mistake ends the start of the app."""
        for name in (self.priority, self.highest_priority):
            _priority(name)
        chosen("on_unavailable", ("wait", "fail", "stale"), self.on_unavailable)
        if not 0 <= self.timeout <= self.longest_timeout or self.keep < 0:
            raise UsageError("timeout is from 0 to longest_timeout, and keep is not negative.")
        if self.max_age is not None and not self.max_age >= 0:
            raise UsageError("max_age is not negative, or None.")

    def asked(self, headers: Mapping[str, str], *, is_trusted: bool) -> CallOptions:
        """Return the options with what the headers of a request ask for; names are lower case.

        Raises `AccessDenied` if a caller that is not trusted sends one of ours, and `UsageError`
        for a value that is invalid or beyond the bounds.
        """
        sent = sorted(name for name in headers if name.startswith(PREFIX))
        options = self
        if sent:
            if not is_trusted:
                raise AccessDenied(
                    f"The header {sent[0]} is not accepted from this caller: how a call is made is "
                    "set by the app (accept_headers of SISGateMiddleware)."
                )
            options = self._with({name.removeprefix(PREFIX): headers[name] for name in sent})
        preference = preference_of([headers.get("prefer", "")], options.timeout)
        if preference.applied is None:
            return options
        return replace(options, timeout=preference.wait_seconds)

    def _with(self, texts: Mapping[str, str]) -> CallOptions:
        options = self
        for name, text in texts.items():
            chosen("A header X-SIS-…", NAMES, name)
            match name:
                case "priority":
                    options = replace(options, priority=self._bounded_priority(text))
                case "timeout":
                    most = self.longest_timeout
                    options = replace(options, timeout=_seconds("X-SIS-Timeout", text, most))
                case "max-age":
                    most = self.longest_max_age
                    options = replace(options, max_age=_seconds("X-SIS-Max-Age", text, most))
                case "transform":
                    options = replace(options, transform=text)
                case "on-unavailable":
                    options = replace(options, on_unavailable=text.lower())
                case _:
                    if not (text.isprintable() and 0 < len(text) <= PURPOSE_CHARACTERS):
                        raise UsageError(
                            f"X-SIS-Purpose has 1 to {PURPOSE_CHARACTERS} printable characters."
                        )
                    options = replace(options, purpose=text)
        return options

    def _bounded_priority(self, text: str) -> str:
        # The smaller number is the more urgent.
        if _priority(text) < _priority(self.highest_priority):
            raise UsageError(
                f"X-SIS-Priority is at most {self.highest_priority} here, not {text[:20]!r}."
            )
        return text.lower()


def _priority(text: str) -> Priority:
    return Priority.parse(chosen("priority", [each.word for each in Priority], text.lower()))


def _seconds(name: str, text: str, most: float) -> float:
    if not re.fullmatch(r"\d{1,9}(\.\d{1,6})?", text) or float(text) > most:
        raise UsageError(f"{name} is a number of seconds from 0 to {most:g}, not {text[:20]!r}.")
    return float(text)
