"""The classes of responses, and their meaning for limiter, breaker, key and call. Pure.

`RULES` is the one table of this; docs/reference/errors.md shows it. `Dialect.classify` adds what a
dialect knows of a refusal, `workers.calls.classify` the call's history.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum


class Outcome(StrEnum):
    """What a call says about its endpoint to the circuit breaker.

    Neutral responses (429, 401, the client's mistakes) neither open nor close it.
    """

    SUCCESS = "success"
    FAILURE = "failure"
    NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True)
class Pace:
    """What a response means for the adaptive factor of its provider.

    `leaves` is the multiplier of the factor; below 1 the provider is blocked for as long as it
    asks, and with `always_blocks` even if it does not say how long. `recovers`: the factor may rise
    again.
    """

    text: str
    leaves: float = 1.0
    always_blocks: bool = False
    recovers: bool = False


RECOVERS = Pace("pace recovers by 0.02 up to 1", recovers=True)
UNCHANGED = Pace("unchanged")


class KeyEffect(Enum):
    """What happens to the key and the access token of a request."""

    STAYS = "stays"
    TOKEN_DROPPED = "the token is dropped; after a second refusal the key is suspect"
    SUSPECTED = "suspect, if another key works or it was not tested lately"


class CallFate(Enum):
    """What happens to the call."""

    DONE = "done"
    WAITS = "waits that long, spends no attempt"
    WAITS_SHORTLY = "waits 2 s, spends no attempt"
    NEW_TOKEN = "repeated once with a new token; then as with a refused key"
    NEXT_KEY = (
        "repeated immediately with the next key; without one, as other 4xx. "
        "[Several keys](../explanation/keys.md#several-keys)"
    )
    FAILS = (
        "fails immediately, with the provider's message; redirects are not followed. A sync may "
        "continue without a refused filter or sort, or without the PowerSchool plugin"
    )
    TRIED_AGAIN = "retried"
    ONCE_MORE = "retried once, then fails; too large a response fails immediately"
    MISCONFIGURED = "fails: correct the configuration"


class ResponseClass(Enum):
    """The classes of responses; the value says how one is recognised."""

    DONE = "2xx, 304"
    RATE_LIMITED = "429"
    TOKEN_EXPIRED = "401 or 403 that says the token has expired"
    UNAUTHORIZED = "a bare 401 to a token fetched earlier"
    KEY_REFUSED = "other 401 or 403, such as a missing permission"
    REFUSED = "3xx, other 4xx"
    OVERLOADED = "503"
    UNAVAILABLE = "other 5xx"
    TIMED_OUT = "408"
    NO_RESPONSE = "reset, timeout, truncated, TLS failure"
    UNREADABLE = "too large, or not compressed as declared"
    NOT_IN_DIALECT = "2xx that is not in the dialect"
    NO_TOKEN = "no token: its endpoint is down or returns something else"
    TOLD_TO_WAIT = (
        "no token: 429, or 503 with Retry-After; 30 s by default; all calls with that key"
    )
    MISCONFIGURED = (
        "no token: 3xx, 404, 405, `invalid_scope`, `invalid_request`, `unsupported_grant_type`"
    )
    OWN_OUTAGE = "not sent: Redis or the database is down, or this worker lacks the master key"

    @property
    def rule(self) -> ResponseRule:
        """What it means."""
        return RULES[self]


@dataclass(frozen=True, slots=True)
class ResponseRule:
    """What a class means for the limiter, the circuit breaker, the key and the call."""

    pace: Pace
    breaker: Outcome
    key: KeyEffect
    call: CallFate


_STAYS, _NEUTRAL, _FAILURE = KeyEffect.STAYS, Outcome.NEUTRAL, Outcome.FAILURE
_HALVED = Pace(
    "pace halved; no permits until Retry-After, at most an hour", 0.5, always_blocks=True
)
# A 503 is more often an outage, which breakers deal with.
_LOWERED = Pace("pace times 0.75; no permits until Retry-After", 0.75)

RULES = {
    ResponseClass.DONE: ResponseRule(RECOVERS, Outcome.SUCCESS, _STAYS, CallFate.DONE),
    ResponseClass.RATE_LIMITED: ResponseRule(_HALVED, _NEUTRAL, _STAYS, CallFate.WAITS),
    ResponseClass.TOKEN_EXPIRED: ResponseRule(
        RECOVERS, _NEUTRAL, KeyEffect.TOKEN_DROPPED, CallFate.NEW_TOKEN
    ),
    ResponseClass.UNAUTHORIZED: ResponseRule(
        RECOVERS, _NEUTRAL, KeyEffect.TOKEN_DROPPED, CallFate.NEW_TOKEN
    ),
    ResponseClass.KEY_REFUSED: ResponseRule(
        RECOVERS, _NEUTRAL, KeyEffect.SUSPECTED, CallFate.NEXT_KEY
    ),
    ResponseClass.REFUSED: ResponseRule(RECOVERS, _NEUTRAL, _STAYS, CallFate.FAILS),
    ResponseClass.OVERLOADED: ResponseRule(_LOWERED, _FAILURE, _STAYS, CallFate.TRIED_AGAIN),
    ResponseClass.UNAVAILABLE: ResponseRule(UNCHANGED, _FAILURE, _STAYS, CallFate.TRIED_AGAIN),
    ResponseClass.TIMED_OUT: ResponseRule(RECOVERS, _FAILURE, _STAYS, CallFate.TRIED_AGAIN),
    ResponseClass.NO_RESPONSE: ResponseRule(UNCHANGED, _FAILURE, _STAYS, CallFate.TRIED_AGAIN),
    ResponseClass.UNREADABLE: ResponseRule(UNCHANGED, _NEUTRAL, _STAYS, CallFate.ONCE_MORE),
    ResponseClass.NOT_IN_DIALECT: ResponseRule(RECOVERS, _NEUTRAL, _STAYS, CallFate.ONCE_MORE),
    ResponseClass.NO_TOKEN: ResponseRule(UNCHANGED, _FAILURE, _STAYS, CallFate.TRIED_AGAIN),
    ResponseClass.TOLD_TO_WAIT: ResponseRule(UNCHANGED, _NEUTRAL, _STAYS, CallFate.WAITS),
    ResponseClass.MISCONFIGURED: ResponseRule(UNCHANGED, _NEUTRAL, _STAYS, CallFate.MISCONFIGURED),
    ResponseClass.OWN_OUTAGE: ResponseRule(UNCHANGED, _NEUTRAL, _STAYS, CallFate.WAITS_SHORTLY),
}


def of_status(status: int | None) -> ResponseClass:
    """Return the class of a status alone, None for no response.

    >>> [of_status(status).name for status in (204, 301, 404, 408, 429, 500, 503, None)]
    ['DONE', 'REFUSED', 'REFUSED', 'TIMED_OUT', 'RATE_LIMITED', 'UNAVAILABLE', 'OVERLOADED', \
'NO_RESPONSE']
    """
    if status is None:
        return ResponseClass.NO_RESPONSE
    if 200 <= status < 300 or status == 304:
        return ResponseClass.DONE
    known = {
        401: ResponseClass.KEY_REFUSED,
        403: ResponseClass.KEY_REFUSED,
        408: ResponseClass.TIMED_OUT,
        429: ResponseClass.RATE_LIMITED,
        503: ResponseClass.OVERLOADED,
    }
    other = ResponseClass.UNAVAILABLE if status >= 500 else ResponseClass.REFUSED
    return known.get(status, other)
