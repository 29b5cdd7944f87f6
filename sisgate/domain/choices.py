"""One of several fixed words: taken everywhere in the same way, refused in the same words."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from sisgate.errors import UsageError


def chosen(what: str, known: Iterable[str], word: str) -> str:
    """Return the word if it is a known one; `UsageError` lists them and suggests the nearest.

    >>> chosen("mode", ["auto", "full"], "ful")
    Traceback (most recent call last):
    sisgate.errors.UsageError: mode is one of auto, full, not 'ful'. Did you mean 'full'?
    """
    words = [str(each) for each in known]
    if word in words:
        return str(word)
    shown = str(word)[:80]
    hint = did_you_mean(shown, words)
    raise UsageError(f"{what} is one of {', '.join(words)}, not {shown!r}.{hint}")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the question whether the nearest known word was meant, or nothing.

    >>> did_you_mean("studnts", ["orgs", "students"]), did_you_mean("x", ["orgs"])
    (" Did you mean 'students'?", '')
    """
    by_lower = {str(each).lower(): str(each) for each in known}
    near = get_close_matches(word.lower(), by_lower, n=1)
    return f" Did you mean {by_lower[near[0]]!r}?" if near else ""
