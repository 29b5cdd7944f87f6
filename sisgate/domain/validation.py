"""What callers pass in: one of a set of words, a time with its zone, a provider's path. Pure."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from urllib.parse import unquote_to_bytes

from sisgate.errors import UnknownResource, UsageError


def chosen(what: str, known: Iterable[str], word: str) -> str:
    """Return the word if it is a known one; `UsageError` lists them and suggests the nearest.

    >>> chosen("mode", ["auto", "full"], "ful")
    Traceback (most recent call last):
    sisgate.errors.UsageError: mode is one of auto, full, not 'ful'. Did you mean 'full'?
    """
    choices = [str(each) for each in known]
    if word in choices:
        return str(word)
    shown = str(word)[:80]
    hint = did_you_mean(shown, choices)
    raise UsageError(f"{what} is one of {', '.join(choices)}, not {shown!r}.{hint}")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a question that suggests the nearest known word, or ''.

    >>> did_you_mean("studnts", ["orgs", "students"]), did_you_mean("x", ["orgs"])
    (" Did you mean 'students'?", '')
    """
    by_lower = {str(each).lower(): str(each) for each in known}
    near = get_close_matches(word.lower(), by_lower, n=1)
    return f" Did you mean {by_lower[near[0]]!r}?" if near else ""


def check_resources(
    provider: str, who: str, known: Sequence[str], resources: Iterable[str]
) -> None:
    """Raise `UnknownResource`, which lists the valid names, if `who` lacks a resource."""
    unknown = [resource for resource in resources if resource not in known]
    if unknown:
        raise UnknownResource(
            f"{who} has no resource {', '.join(map(repr, unknown))}; it has "
            f"{', '.join(known)}.{did_you_mean(unknown[0], known)}",
            provider=provider,
        )


def some_of(names: Sequence[str], most: int = 20) -> str:
    """Return a list of names in words, cut where it gets long; `none` for an empty one.

    >>> some_of(["adams", "lincoln", "madison"], most=2)
    'adams, lincoln and 1 more'
    """
    rest = len(names) - most
    more = f" and {rest:,} more" if rest > 0 else ""
    return (", ".join(names[:most]) or "none") + more


def aware(name: str, moment: datetime | None) -> datetime | None:
    """Return a time that has its zone, or None; `UsageError` for one without.

    >>> aware("until", datetime(2026, 12, 1, 6))
    Traceback (most recent call last):
    sisgate.errors.UsageError: until needs a time zone: 2026-12-01T06:00:00 has none.
    """
    if moment is None:
        return None
    if moment.utcoffset() is None:
        raise UsageError(f"{name} needs a time zone: {moment.isoformat()} has none.")
    try:
        moment.astimezone(UTC)
    except OverflowError:
        raise UsageError(f"{name} is no time that has one in UTC: {moment.isoformat()}.") from None
    return moment


_JOB_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,35}")

_PLACES = frozenset({"bulk", "find"})
"""What the HTTP API has below its jobs: a job of that id could not be reached."""


def usable_job_id(job_id: str) -> str:
    """Return a job's id; `UsageError` for one that an address, a line or a log cannot hold.

    >>> usable_job_id("nightly-2026-11-30")
    'nightly-2026-11-30'
    """
    if _JOB_ID.fullmatch(job_id) is None or job_id in _PLACES:
        raise UsageError(
            "A job id has 1 to 36 letters (A to Z), digits, _, . and -, begins with a letter or "
            "digit, and is neither bulk nor find."
        )
    return job_id


LONGEST_SECONDS = 10**9
"""The longest time that is accepted, some thirty years; beyond it, dates may overflow."""


def finite_seconds(name: str, seconds: object) -> float:
    """Return a number of seconds from 0 on; `UsageError` for anything else.

    >>> finite_seconds("max_age", float("nan"))
    Traceback (most recent call last):
    sisgate.errors.UsageError: max_age is a number of seconds from 0 to 1,000,000,000, not nan.
    """
    if isinstance(seconds, int | float) and 0 <= seconds <= LONGEST_SECONDS:
        return float(seconds)
    raise UsageError(
        f"{name} is a number of seconds from 0 to {LONGEST_SECONDS:,}, not {seconds!r}."
    )


MOST_DECODINGS = 5
"""How often a path is decoded; one that could be decoded further is refused."""

_NOT_STANDARD = re.compile(r"%u[0-9a-f]{4}", re.IGNORECASE)
"""IIS's own escapes."""

_ENDS_OF_NAME = re.compile("[;?#]")
"""Where servers cut off a segment: at path parameters, and at an encoded query."""


def usable_path(path: str) -> str:
    r"""Return the path; `UsageError` for one that could leave the endpoint's origin or base path.

    Servers, and proxies before them, differ in how often they decode a path, and some cut path
    parameters (`..;`), take `\` for `/`, or normalise Unicode. So no reading may have a segment
    that is empty or of dots only. What cannot be read as UTF-8 is refused: overlong forms of a dot
    are such.

    >>> usable_path("/ws/v1/school/5"), usable_path("/ws/v1/a%2Fb")
    ('/ws/v1/school/5', '/ws/v1/a%2Fb')
    """
    if not (_is_written_well(path) and _stays(path)):
        if not path.startswith("/"):
            raise UsageError(f"A path starts with /, such as /ws/v1/district, not {path[:100]!r}.")
        if "?" in path:
            raise UsageError(
                f"A path has no query in it; give the query separately. Refused: {path[:100]!r}."
            )
        raise UsageError(
            "A path starts with a single / and stays below the provider's base path, however "
            f"often it is decoded; {path[:100]!r} does not."
        )
    return path


def _is_written_well(path: str) -> bool:
    return path.startswith("/") and not any(
        ord(c) < 33 or c in "?#" or 0xD800 <= ord(c) <= 0xDFFF for c in path
    )


def _stays(path: str) -> bool:
    """Whether no reading of a path leaves the place that it is put below."""
    for _ in range(MOST_DECODINGS):
        path = unicodedata.normalize("NFKC", path)
        if not _is_plain(path):
            return False
        try:
            decoded = unquote_to_bytes(path).decode()
        except UnicodeDecodeError:
            return False
        if decoded == path:
            return True
        path = decoded
    return False


def _is_plain(path: str) -> bool:
    if _NOT_STANDARD.search(path):
        return False
    if any(unicodedata.category(c) == "Cc" or c == "\\" for c in path):
        return False
    *inner, last = path.split("/")[1:]
    return all(map(_is_name, inner)) and (not last or _is_name(last))


def _is_name(segment: str) -> bool:
    """Whether a segment has a name, not only dots and blanks, which some file systems drop."""
    return bool(_ENDS_OF_NAME.split(segment)[0].strip(". "))
