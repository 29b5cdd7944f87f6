"""What an answer means, in words for people."""

import pytest

from sisgate.domain.response_class import ResponseClass
from sisgate.providers.dialect import DialectOptions
from sisgate.providers.http import HttpResponse
from sisgate.providers.oneroster import OneRoster

ASKED = "https://sis.example/ims/oneroster/users?limit=100"


def said(status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> str:
    """Return the words for an answer."""
    response = HttpResponse(status, headers or {}, body, 0.1, ASKED)
    return OneRoster(DialectOptions()).classify(response).message


def test_an_answer_without_a_body_is_told_once() -> None:
    """The status is all there is."""
    assert said(418) == "The provider answered 418."
    assert said(418, body=b'{"error": "tea"}') == "The provider answered 418."


@pytest.mark.parametrize(
    "body",
    [
        b'{"message": "Student Ada (4711) was not found"}',
        b'{"imsx_codeMajor": "failure", "imsx_description": "Ada was not found"}',
        b'{"error": "Ada", "error_description": "Ada, was not found"}',
        b"<html><title>Ada</title><p>Ada was not found</p></html>",
        b"<error><student>Ada</student> was not found</error>",
        b"Ada was not found",
    ],
)
def test_a_message_holds_no_word_of_a_provider_but_those_of_errors(body: bytes) -> None:
    """In whatever form it comes, its codes and ids as well."""
    assert said(404, body=body) == "The provider answered 404: … was not found"
    response = HttpResponse(404, {"x-request-id": "Ada"}, b'{"code": "Ada", "message": "gone"}')
    verdict = OneRoster(DialectOptions()).classify(response)
    assert (verdict.provider_code, verdict.request_id) == (None, None)


@pytest.mark.parametrize(
    ("location", "where"),
    [
        ("/ims/oneroster/users/?limit=100", "the same path with a slash at its end"),
        ("/login?next=secret", "another path of the same server"),
        ("https://other.example:8443/sign-in/secret", "https://other.example:8443"),
        ("http://sis.example/ims/oneroster/users", "http://sis.example"),
        ("//other.example/x", "https://other.example"),
        ("http://[", "an address that cannot be read"),
    ],
)
def test_a_redirect_says_where_to_and_what_to_correct(location: str, where: str) -> None:
    """Without the path and the query of its target, and with no word of its HTML."""
    words = said(302, {"location": location}, b"<html>Moved</html>")
    assert f"answered 302 and redirects to {where}. " in words
    assert "base_path" in words
    assert "secret" not in words


def test_a_redirect_is_a_refusal_and_no_outage() -> None:
    """Asking once more would bring the same."""
    response = HttpResponse(301, {"location": "/x"}, b"", 0.1, ASKED)
    assert OneRoster(DialectOptions()).classify(response).response_class is ResponseClass.REFUSED
