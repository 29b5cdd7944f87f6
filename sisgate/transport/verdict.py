"""What an answer means. Pure: the answer in, what to do out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from sisgate.errors import MESSAGE_LIMIT
from sisgate.providers.dialect import Dialect, HttpResponse
from sisgate.providers.refusals import says_permission_missing


class Meaning(Enum):
    """The rows of the table "What an answer means" in the docs."""

    DONE = "done"
    THROTTLED = "throttled"
    TOKEN_EXPIRED = "token_expired"
    UNAUTHORIZED = "unauthorized"
    """A 401 that does not say whether it is the token or the key that is refused."""
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class Verdict:
    """The meaning of an answer, with words for people where it is not success."""

    meaning: Meaning
    message: str = ""
    provider_code: str | None = None
    request_id: str | None = None


def judge(dialect: Dialect, response: HttpResponse) -> Verdict:
    """Return what a response means."""
    status = response.status
    if 200 <= status < 300 or status == 304:
        return Verdict(Meaning.DONE)
    said = dialect.read_error(response)
    words = f"The provider answered {status}: {said.message[:MESSAGE_LIMIT]}"
    if status == 429:
        meaning = Meaning.THROTTLED
    elif status in {401, 403} and dialect.token_expired(response):
        meaning = Meaning.TOKEN_EXPIRED
    elif status == 401 and not says_permission_missing(said):
        meaning = Meaning.UNAUTHORIZED
    elif status >= 500 or status == 408:
        meaning = Meaning.UNAVAILABLE
    else:
        meaning = Meaning.REFUSED
    return Verdict(meaning, words, said.code, said.request_id)
