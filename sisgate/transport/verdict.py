"""What an answer means. Pure: the answer in, what to do out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from urllib.parse import urljoin, urlsplit

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
class ResponseClass:
    """The meaning of an answer, with words for people where it is not success."""

    meaning: Meaning
    message: str = ""
    provider_code: str | None = None
    request_id: str | None = None


def judge(dialect: Dialect, response: HttpResponse) -> ResponseClass:
    """Return what a response means."""
    status = response.status
    if 200 <= status < 300 or status == 304:
        return ResponseClass(Meaning.DONE)
    said = dialect.read_error(response)
    words = _words(response, said.message[:MESSAGE_LIMIT])
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
    return ResponseClass(meaning, words, said.code, said.request_id)


def _words(response: HttpResponse, said: str) -> str:
    bare = f"The provider answered {response.status}"
    if 300 <= response.status < 400 and "location" in response.headers:
        where = _place_of(response.headers["location"], response.url)
        return (
            f"{bare} and redirects to {where}. Redirects are not followed, as they would carry "
            "the token elsewhere: correct the provider's url, or its base_path."
        )
    return said if said == f"{bare}." else f"{bare}: {said}"


def _place_of(location: str, asked: str) -> str:
    """Return where a Location leads, without its path and query: they may hold what was asked."""
    try:
        asked_parts, parts = urlsplit(asked), urlsplit(urljoin(asked, location))
        port = f":{parts.port}" if parts.port else ""
        host = "".join(c for c in parts.hostname or "" if c.isprintable())[:100]
    except ValueError:
        return "an address that cannot be read"
    if (parts.scheme, parts.netloc) != (asked_parts.scheme, asked_parts.netloc):
        return f"{parts.scheme}://{host}{port}"
    if parts.path == f"{asked_parts.path}/":
        return "the same path with a slash at its end"
    return "another path of the same server"
