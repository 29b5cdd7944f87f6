"""What a caller prefers: `Prefer: wait=10, respond-async` (RFC 7240)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")


@dataclass(frozen=True)
class Preference:
    """How long the caller wants to wait for the end of a job; 0 for not at all.

    `applied` is the value of `Preference-Applied`, None if nothing was preferred.
    """

    wait_seconds: float = 0.0
    applied: str | None = None


def preference_of(values: Iterable[str], longest_seconds: float) -> Preference:
    """Return the preference of a request's `Prefer` headers. What cannot be read is ignored.

    `respond-async` with `wait` means: wait that long, then answer at once; without, don't wait. A
    wait may have decimals, which RFC 7240 does not know.

    >>> preference_of(["respond-async, wait=10"], 60)
    Preference(wait_seconds=10, applied='respond-async, wait=10')
    >>> preference_of(["wait=900; foo=1"], 60).wait_seconds
    60
    >>> preference_of(["wait=0.25"], 60).wait_seconds
    0.25
    >>> preference_of(["handling=lenient", "wait=soon"], 60)
    Preference(wait_seconds=0.0, applied=None)
    """
    wait: float | None = None
    is_async = False
    for value in values:
        for each in value.split(","):
            name, _, text = each.partition(";")[0].strip().partition("=")
            name, text = name.strip().lower(), text.strip().strip('"')
            if name == "respond-async":
                is_async = True
            elif name == "wait" and wait is None and _NUMBER.fullmatch(text):
                wait = min(float(text) if "." in text else int(text), longest_seconds)
    applied = ["respond-async"] if is_async else []
    applied += [f"wait={wait}"] if wait is not None else []
    return Preference(wait or 0.0, ", ".join(applied) or None)
