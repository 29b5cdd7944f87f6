"""The class of an answer as its dialect tells, and a message for people. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from sisgate.domain.response_class import ResponseClass, of_status
from sisgate.errors import MESSAGE_LIMIT
from sisgate.providers.dialect import Dialect, HttpResponse
from sisgate.providers.refusals import says_permission_missing


@dataclass(frozen=True)
class ClassifiedResponse:
    """The class of an answer, with a message for people where it is not success."""

    response_class: ResponseClass
    message: str = ""
    provider_code: str | None = None
    request_id: str | None = None


def judge(dialect: Dialect, response: HttpResponse) -> ClassifiedResponse:
    """Return the class of a response, as its dialect tells."""
    found = of_status(response.status)
    if found is ResponseClass.DONE:
        return ClassifiedResponse(found)
    said = dialect.read_error(response)
    if found is ResponseClass.KEY_REFUSED and dialect.token_expired(response):
        found = ResponseClass.TOKEN_EXPIRED
    elif response.status == 401 and not says_permission_missing(said):
        found = ResponseClass.UNAUTHORIZED
    words = _words(response, said.message[:MESSAGE_LIMIT])
    return ClassifiedResponse(found, words, said.code, said.request_id)


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
