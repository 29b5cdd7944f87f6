"""A caller gets the provider's answer as if the app had called it, and the provider the request."""

import gzip

import pytest
import requests

from sisgate.integrations.fastapi import CallOptions, Interception
from testbed.http_server import json_reply
from testbed.sis import Sis
from tests.integration.middleware.conftest import MakeApp

PATIENT = CallOptions(timeout=60, keep=0)
PLANTED = "planted-4711"


@pytest.mark.usefixtures("caller")
def test_method_query_body_and_type_go_through_and_the_answer_comes_back(
    serve: MakeApp, sis: Sis, http: requests.Session
) -> None:
    """Byte by byte, whatever the status."""
    url = serve(options=PATIENT)
    sis.reply = lambda asked: (418, {"Content-Type": "x/y", "ETag": '"7"'}, asked.body[::-1])
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = http.request(
            method, f"{url}/sis/lincoln/a%2Fb?z=1&a=2&z=3", data=b"\x00\xff{}",
            headers={"Content-Type": "application/x-thing"},
        )  # fmt: skip
        assert answer.status_code == 418
        assert answer.content == b"}{\xff\x00"
        assert (answer.headers["content-type"], answer.headers["etag"]) == ("x/y", '"7"')
        asked = sis.asked[-1]
        assert (asked.method, asked.target) == (method, "/base/a%2Fb?z=1&a=2&z=3")
        assert asked.headers["content-type"] == "application/x-thing"
    head = http.head(f"{url}/sis/lincoln/orgs")
    assert (head.status_code, head.content) == (418, b"")
    sis.reply = lambda _: (304, {"ETag": '"7"'}, b"")
    fresh = http.get(f"{url}/sis/lincoln/orgs", headers={"If-None-Match": '"7"'})
    assert (fresh.status_code, fresh.content) == (304, b"")
    assert sis.asked[-1].headers["if-none-match"] == '"7"'


@pytest.mark.usefixtures("caller")
def test_nothing_of_a_caller_that_was_not_chosen_reaches_the_provider(
    serve: MakeApp, sis: Sis, http: requests.Session
) -> None:
    """Cookies, authorization, headers of the connection and those named in it, and all others."""
    url = serve(options=PATIENT, request_headers=("accept", "x-tenant", "if-none-match"))
    planted = {
        "Authorization": f"Bearer {PLANTED}", "Cookie": f"session={PLANTED}",
        "Proxy-Authorization": PLANTED, "X-Forwarded-For": PLANTED, "X-Forwarded-Host": PLANTED,
        "Forwarded": f"for={PLANTED}", "Via": PLANTED, "X-Real-Ip": PLANTED, "Referer": PLANTED,
        "Origin": PLANTED, "User-Agent": PLANTED, "X-Api-Key": PLANTED, "Sec-Fetch-Site": PLANTED,
        "Te": PLANTED, "Keep-Alive": PLANTED, "Upgrade": PLANTED, "Trailer": PLANTED,
        "Proxy-Connection": PLANTED, "Connection": "keep-alive, if-none-match",
        "If-None-Match": PLANTED, "X-Tenant": "chosen", "Accept": "application/json",
    }  # fmt: skip
    for method in ("GET", "POST"):
        answer = http.request(method, f"{url}/sis/lincoln/orgs", headers=planted)
        assert answer.status_code == 200
        asked = sis.asked[-1]
        assert PLANTED not in str(asked.lines)
        assert asked.headers["x-tenant"] == "chosen"


@pytest.mark.usefixtures("caller")
def test_headers_of_the_providers_connection_stay_there(
    serve: MakeApp, sis: Sis, http: requests.Session
) -> None:
    """Its cookies, too; a link to itself leads here, and so does a location."""
    sis.reply = lambda _: json_reply(
        [1], 201, Set_Cookie="a=b", Connection="x-debug", X_Debug="1", Server="SIS/1",
        WWW_Authenticate="Basic", Location=f"{sis.url}/base/orgs/7?a=b", Keep_Alive="timeout=9",
        Vary="Accept", Content_Range="items 0-1/2",
        Link=f'<{sis.url}/base/orgs?offset=2>; rel="next", <https://elsewhere.test/x>; rel="help"',
    )  # fmt: skip
    answer = http.post(f"{serve(options=PATIENT)}/sis/lincoln/orgs", json={})
    assert answer.status_code == 201
    assert answer.headers["location"] == "/sis/lincoln/orgs/7?a=b"
    # Without them a cache would give the answer to others, and a part would look like the whole.
    assert (answer.headers["vary"], answer.headers["content-range"]) == ("Accept", "items 0-1/2")
    assert answer.headers["link"] == (
        '</sis/lincoln/orgs?offset=2>; rel="next", <https://elsewhere.test/x>; rel="help"'
    )
    for name in ("set-cookie", "x-debug", "www-authenticate", "keep-alive", "transfer-encoding"):
        assert name not in answer.headers
    assert answer.headers["server"] == "uvicorn"
    assert answer.headers["content-length"] == "3"
    assert answer.headers["x-sis-job"]
    sis.reply = lambda _: json_reply([1], 201, Location="8?a=b")
    moved = http.get(f"{serve(options=PATIENT)}/sis/lincoln/orgs/7")
    assert moved.headers["location"] == "/sis/lincoln/orgs/8?a=b"


@pytest.mark.usefixtures("caller")
@pytest.mark.parametrize(
    ("sent", "kept", "is_boxed"),
    [
        ({"Content-Type": "text/html"}, "no-store", True),
        ({"Content-Type": "image/SVG+xml", "ETag": '"1"'}, "private, no-cache", True),
        ({"Content-Type": "application/json", "Cache-Control": "max-age=9"}, "max-age=9", False),
        ({}, "no-store", False),
    ],
)
def test_a_page_of_the_provider_does_nothing_in_the_apps_name(
    serve: MakeApp,
    sis: Sis,
    http: requests.Session,
    sent: dict[str, str],
    kept: str,
    is_boxed: bool,
) -> None:
    """A script in it would have the app's cookies, and a cache would give it to others."""
    sis.reply = lambda _: (404, sent, b"<script>alert(1)</script>")
    answer = http.get(f"{serve(options=PATIENT)}/sis/lincoln/orgs")
    assert (answer.status_code, answer.content) == (404, b"<script>alert(1)</script>")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == kept
    assert ("sandbox" in answer.headers.get("Content-Security-Policy", "")) is is_boxed


@pytest.mark.usefixtures("caller")
def test_a_compressed_answer_comes_decoded_with_its_length(
    serve: MakeApp, sis: Sis, http: requests.Session
) -> None:
    """The encoding was that of the provider's connection to us."""
    text = b"x" * 100_000
    sis.reply = lambda _: (200, {"Content-Encoding": "gzip"}, gzip.compress(text))
    answer = http.get(f"{serve(options=PATIENT)}/sis/lincoln/orgs")
    assert answer.content == text
    assert "content-encoding" not in answer.headers
    assert answer.headers["content-length"] == "100000"


@pytest.mark.usefixtures("caller")
def test_everything_else_is_the_apps_own(serve: MakeApp, sis: Sis, http: requests.Session) -> None:
    """Bodies included; with rules, other paths are a provider's."""
    rules = [Interception("/students/{id}", "lincoln", "/users/{id}")]
    url = serve(options=PATIENT, rules=rules, prefix="/v2/district")
    assert http.post(f"{url}/sis/lincoln/x", data="abc").json() == {
        "app": "sis/lincoln/x", "body": "abc",
    }  # fmt: skip
    assert sis.asked == []
    assert http.get(f"{url}/students/7").json() == {"orgs": []}
    assert http.get(f"{url}/v2/district/lincoln/orgs").json() == {"orgs": []}
    assert [each.path for each in sis.asked] == ["/base/users/7", "/base/orgs"]


@pytest.mark.usefixtures("caller")
def test_a_root_path_changes_nothing(serve: MakeApp, sis: Sis, http: requests.Session) -> None:
    """But the links, which begin with it."""
    sis.reply = lambda _: json_reply([], Link=f"<{sis.url}/base/orgs?offset=2>; rel=next")
    url = serve(root_path="/api", options=PATIENT)
    answer = http.get(f"{url}/sis/lincoln/orgs")
    assert answer.status_code == 200
    assert sis.asked[-1].target == "/base/orgs"
    assert answer.headers["link"] == "</api/sis/lincoln/orgs?offset=2>; rel=next"


@pytest.mark.usefixtures("caller")
def test_an_answer_that_was_cut_is_not_given_out(
    serve: MakeApp, sis: Sis, http: requests.Session
) -> None:
    """Half a list looks like a whole one."""
    sis.reply = lambda _: (200, {}, b"x" * 2_000_001)
    answer = http.get(f"{serve(options=PATIENT)}/sis/lincoln/orgs")
    assert answer.status_code == 502
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "answer_invalid"
