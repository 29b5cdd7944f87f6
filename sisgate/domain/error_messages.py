"""The message of an error without its values. Pure.

A provider's own text may hold anything, a student's name too. Of it only words of a fixed
vocabulary are kept, wherever it would be stored or shown. For error patterns sisgate's own
messages lose quotations, numbers and ids, so that errors that are alike read alike.
"""

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
bad be been busy by call calls cannot character characters client closed conflict connection contact
content could credentials data database day denied did disabled district does down duplicate empty
enabled endpoint entity error exceeded exceeds exist exists expected expired failed failure field
fields filter for forbidden format found from gateway greater has have header host hour html id
identifier in incorrect installed insufficient integer internal invalid is it json key later length
less license licensed limit limited limits line locked maintenance malformed many match maximum
media method minimum minute missing moved must no not null number object of off offset on only
operation or out page parameter parameters parse password path per permission permissions please
plugin policy privilege privileges property provider proxy query quota rate read received refused
request requested requests required resource response role schema scope scopes second seconds secret
server service session size sort source status string support supported syntax system temporarily
temporary than the this timed timeout timestamp to token too try type unable unauthorized
unavailable unexpected unknown unprocessable unsupported until upstream url user valid validation
value version was window with wrong xml year you your
"""

VOCABULARY = frozenset(_WORDS.split())
"""Words of a provider's text that are kept: those of errors."""

_CODE_WORDS = VOCABULARY | {
    "bearer", "expansion", "fullsuccess", "grant", "invaliddata", "linkfailure", "selection",
    "success", "unauthorisedrequest", "unknownobject",
}  # fmt: skip
"""Words that codes are made of."""

_PARTS_OF_CODE = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,60}")
_MOST_DIGITS = 5

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
        text = words_of_errors(_PREFACE.sub("", text))
    for pattern in (_URL, _QUOTED, _ID, _NUMBER):
        text = pattern.sub(GAP, text)
    return _GAPS.sub(GAP, text)[:MOST_CHARACTERS].strip() or GAP


def in_words(code: str, status: int | None, message: str) -> str:
    """Return an error for a sentence. A provider's own text with gaps has nothing to read.

    >>> in_words("provider_refused", 410, "not found"), in_words("provider_refused", 410, "no … id")
    ('it answered 410 (provider_refused): not found', 'it answered 410 (provider_refused)')
    >>> in_words("provider_unavailable", None, "It did not answer within … s.")
    'provider_unavailable: It did not answer within … s'
    """
    told = code if status is None else f"it answered {status} ({code})"
    known = {f"the provider answered {status}", f"the provider answered {GAP}"}
    if message.lower().rstrip(".") in known or (code in THEIRS and GAP in message):
        return told
    return f"{told}: {message.rstrip('.')}"


def words_of_errors(text: str) -> str:
    """Return a provider's own text, with a gap for all but words of errors.

    >>> words_of_errors("Student Ada Byron (4711) was not found"), words_of_errors("Ada")
    ('… was not found', '…')
    """
    # In lower case, because a name may be a word, too.
    words = (word.lower() for word in _WORD.findall(text) if word not in ".,;:!")
    return _GAPS.sub(GAP, " ".join(word if word in VOCABULARY else GAP for word in words)).strip()


def code_of_errors(code: str | None) -> str | None:
    """Return a provider's own error code if it is made of words of errors, None otherwise.

    >>> code_of_errors("invalid_filter_field"), code_of_errors("NotFound"), code_of_errors("404")
    ('invalid_filter_field', 'NotFound', '404')
    >>> code_of_errors("no_such_ada"), code_of_errors("Ada"), code_of_errors("20114711")
    (None, None, None)
    """
    if code is None or not _CODE.fullmatch(code):
        return None
    parts = _PARTS_OF_CODE.findall(code)
    is_known = all(
        len(part) <= _MOST_DIGITS if part.isdecimal() else part.lower() in _CODE_WORDS
        for part in parts
    )
    return code if parts and is_known else None


def fingerprint_of(
    provider: str, endpoint: str, code: str, status: int | None, message: str
) -> str:
    """Return the id of the pattern of errors that are alike in all of this."""
    text = "\0".join((provider, endpoint, code, str(status), message))
    return f"er_{hashlib.sha256(text.encode()).hexdigest()[:8]}"
