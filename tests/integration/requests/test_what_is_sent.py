"""The provider gets what the app gives: method, path, query, body and headers, and no others."""

import pytest

from sisgate import Gateway
from sisgate.errors import UsageError
from testbed.http_server import json_reply
from testbed.sis import Sis

PATIENCE = 60.0


def test_a_body_is_sent_as_it_is(gateway: Gateway, sis: Sis) -> None:
    """Bytes that are no text, with their type; and text."""
    for body, kind in ((b"\xff\x00\x01", "application/octet-stream"), (b"id,name\r\n", "text/csv")):
        answer = gateway.request(
            "lincoln", "POST", "/files", body=body, headers={"Content-Type": kind},
            timeout=PATIENCE,
        )  # fmt: skip
        assert answer.status == 200
        asked = sis.asked[-1]
        assert (asked.method, asked.target) == ("POST", "/base/files")
        assert asked.body == body
        assert asked.headers["content-type"] == kind


def test_a_name_may_occur_several_times_in_a_query(gateway: Gateway, sis: Sis) -> None:
    """In the given order; one job shows it so."""
    pairs = [("id", "2"), ("id", "1"), ("q", "a b&c")]
    answer = gateway.request("lincoln", "GET", "/orgs", query=pairs, timeout=PATIENCE)
    assert sis.asked[-1].target == "/base/orgs?id=2&id=1&q=a+b%26c"
    target = gateway.jobs.request_target(answer.job_id)
    assert target is not None
    assert target.pairs == tuple(pairs)


def test_headers_are_part_of_the_question(gateway: Gateway, sis: Sis) -> None:
    """A stored response in another form answers another question."""
    sis.reply = lambda _: (200, {"Content-Type": "text/csv"}, b"id")
    csv = {"accept": "text/csv"}
    gateway.request("lincoln", "GET", "/orgs", headers=csv, timeout=PATIENCE)
    assert sis.asked[-1].headers["accept"] == "text/csv"
    sis.reply = lambda _: json_reply({})
    gateway.request("lincoln", "GET", "/orgs", timeout=PATIENCE)
    assert sis.asked[-1].headers["accept"] == "application/json"
    gateway.providers.control("lincoln").pause(None, actor="ana")
    for headers, body in ((csv, b"id"), (None, b"{}")):
        stale = gateway.request(
            "lincoln", "GET", "/orgs", headers=headers, on_unavailable="stale", timeout=PATIENCE
        )
        assert stale.is_stale
        assert stale.body == body


@pytest.mark.parametrize(
    "header",
    [
        ("Authorization", "Bearer x"), ("cookie", "a=b"), ("Host", "evil.test"),
        ("Content-Length", "0"), ("Transfer-Encoding", "chunked"), ("Connection", "close"),
        ("X-Forwarded-For", "::1"), ("proxy-authorization", "x"), ("x-sis-priority", "low"),
        ("bad name", "x"), ("accept", "a\r\nX: y"), ("accept", ""), ("accept", "x" * 9000),
        ("accept", "\u0100"),
    ],
)  # fmt: skip
def test_headers_of_connection_and_credentials_are_refused(
    gateway: Gateway, header: tuple[str, str]
) -> None:
    """Before anything is accepted."""
    with pytest.raises(UsageError):
        gateway.enqueue_request("lincoln", "GET", "/orgs", headers=dict([header]))
    assert gateway.jobs.list() == []


def test_a_request_has_one_body(gateway: Gateway) -> None:
    """JSON or bytes."""
    with pytest.raises(UsageError, match="not both"):
        gateway.enqueue_request("lincoln", "POST", "/orgs", json={}, body=b"{}")
