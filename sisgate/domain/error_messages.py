"""The message of an error without its values, so that errors that are alike read alike. Pure.

A provider's own text may hold anything, a student's name too. Of it only words of a fixed
vocabulary are kept; of sisgate's own messages everything but quotations, numbers and ids.
"""

from __future__ import annotations

import hashlib
import re

MOST_CHARACTERS = 200

GAP = "…"

THEIRS = frozenset(
    {"provider_refused", "token_expired", "throttled", "transform_failed", "outcome_unknown"}
)
"""Codes of errors whose message is the provider's own."""

_WORDS = """
a access account already an and answered any api app are at authentication authorization authorized
bad be been by call calls cannot client closed conflict connection contact content could
credentials data database day denied did disabled does down duplicate empty endpoint error
exceeded exist exists expected expired failed failure field fields filter for forbidden format
found from gateway has have header host hour id identifier in incorrect internal invalid is it key
later length license limit limited limits locked maintenance malformed many match media method
minute missing must no not null object of offset on only operation or out page parameter
parameters password path per permission permissions please plugin policy privilege privileges
property provider query quota rate read received refused request requested requests required
resource response role schema scope scopes second seconds secret server service session sort
source status support supported system temporarily temporary the this timed timeout to token too
try type unable unauthorized unavailable unexpected unknown unsupported url user valid value
version was window with wrong year you your
"""

VOCABULARY = frozenset(_WORDS.split())
"""Words of a provider's text that are kept: those of errors."""

_QUOTED = re.compile(r"\"[^\"]*\"|'[^']{1,100}'|“[^”]*”")
_URL = re.compile(r"https?://\S+")
_ID = re.compile(r"\b(?=\w*\d)[\w-]{6,}\b")
_NUMBER = re.compile(r"\d[\d.,:]*")
_GAPS = re.compile(rf"{GAP}(?:[\s,;:.]*{GAP})+")
_WORD = re.compile(r"[^\W\d_]+|\S")
_PREFACE = re.compile(r"^The provider answered \d+: ")
"""Our own words before the provider's, which say no more than the status."""


def without_values(code: str, message: str) -> str:
    """Return a message without values.

    >>> without_values("provider_refused", "Student Ada Byron (4711) was not found")
    '… was not found'
    >>> without_values("provider_unavailable", "The provider did not answer within 2.5 s.")
    'The provider did not answer within … s.'
    """
    text = " ".join(message.split())
    if code in THEIRS:
        # In lower case, because a name may be a word, too.
        found = [w.lower() for w in _WORD.findall(_PREFACE.sub("", text)) if w not in ".,;:!"]
        words = [word if word in VOCABULARY else GAP for word in found]
        text = " ".join(words)
    for pattern in (_URL, _QUOTED, _ID, _NUMBER):
        text = pattern.sub(GAP, text)
    return _GAPS.sub(GAP, text)[:MOST_CHARACTERS].strip() or GAP


def fingerprint_of(
    provider: str, endpoint: str, code: str, status: int | None, message: str
) -> str:
    """Return the id of the pattern of errors that are alike in all of this."""
    text = "\0".join((provider, endpoint, code, str(status), message))
    return f"er_{hashlib.sha256(text.encode()).hexdigest()[:8]}"
