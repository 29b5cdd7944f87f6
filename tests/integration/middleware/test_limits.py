"""What callers may not do: send too much, ask without leave, or say how calls are made."""

import asyncio
import socket
from collections.abc import Awaitable

import pytest
import requests
from fastapi import FastAPI, HTTPException, Request
from starlette.types import Message

from sisgate import Gateway
from sisgate.integrations.fastapi import CallOptions, SISGateMiddleware
from testbed.sis import Sis
from tests.integration.middleware.conftest import MakeApp

WAITING = CallOptions(timeout=0, longest_timeout=10)


def test_a_body_is_refused_before_it_is_kept(serve: MakeApp, gateway: Gateway) -> None:
    """By its declared length before a byte of it is read, and else where it passes the limit."""
    port = int(serve(max_body_bytes=1000).rpartition(":")[2])
    head = b"POST /sis/lincoln/x HTTP/1.1\r\nHost: x\r\n"
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in (b"x" * 500, b"y" * 501))
    for rest in (b"Content-Length: 1001\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n%b" % chunks):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
            client.sendall(head + rest)
            assert client.recv(1000).startswith(b"HTTP/1.1 413 ")
    assert gateway.jobs.list() == []


@pytest.mark.parametrize(("version", "ends"), [("1.1", b"close"), ("2", None)])
def test_a_refused_body_ends_a_connection_of_its_own(
    gateway: Gateway, version: str, ends: bytes | None
) -> None:
    """HTTP/2 forbids the header: others share the connection."""
    app, sent = FastAPI(), list[Message]()
    app.add_middleware(SISGateMiddleware, gateway=gateway)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": True}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http", "http_version": version, "method": "POST", "path": "/sis/lincoln/x",
        "query_string": b"", "headers": [(b"content-length", b"9999999")],
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 413
    assert dict(sent[0]["headers"]).get(b"connection") == ends


def test_a_slow_or_compressed_body_is_refused(serve: MakeApp, gateway: Gateway) -> None:
    """A connection that only waits is not kept."""
    url = serve(body_seconds=0.2)
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=60) as client:
        client.sendall(b"POST /sis/lincoln/x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx")
        assert client.recv(1000).startswith(b"HTTP/1.1 408 ")
    headers = {"Content-Encoding": "gzip"}
    answer = requests.post(f"{url}/sis/lincoln/x", data=b"x", headers=headers, timeout=60)
    assert answer.status_code == 415
    assert answer.headers["content-type"] == "application/problem+json"
    assert gateway.jobs.list() == []


def test_an_upload_that_breaks_off_asks_for_nothing(serve: MakeApp, gateway: Gateway) -> None:
    """Half a body is none."""
    url = serve()
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as client:
        client.sendall(b"POST /sis/lincoln/x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx")
    assert requests.get(f"{url}/x", timeout=60).status_code == 200
    assert gateway.jobs.list() == []


def test_the_app_says_who_may(serve: MakeApp, gateway: Gateway, http: requests.Session) -> None:
    """For each request, also for the place of a job; sync or async."""

    async def is_known(request: Request) -> bool:
        return request.headers.get("authorization") == "Bearer ok"

    def is_known_at_once(request: Request) -> bool | Awaitable[bool]:
        return request.headers.get("authorization") == "Bearer ok"

    for decision in (is_known, is_known_at_once):
        url = serve(authorize=decision, options=WAITING)
        assert http.get(f"{url}/sis/lincoln/x").status_code == 403
        known = {"Authorization": "Bearer ok"}
        answer = http.get(f"{url}/sis/lincoln/x", headers=known)
        assert answer.status_code in {202, 504}
        job = gateway.jobs.list()[0].id
        assert http.get(f"{url}/sis/-/jobs/{job}").status_code == 403
        assert http.get(f"{url}/sis/-/jobs/{job}", headers=known).status_code != 403
        tried = http.delete(f"{url}/sis/-/jobs/{job}", headers=known)
        assert (tried.status_code, tried.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.usefixtures("caller")
def test_who_decides_may_read_the_body_and_say_what_is_answered(
    serve: MakeApp, sis: Sis, http: requests.Session
) -> None:
    """A signature over the body is checked, and the provider still gets all of it."""

    async def is_signed(request: Request) -> bool:
        if "signature" not in request.headers:
            raise HTTPException(401, "Log in.", {"WWW-Authenticate": "Bearer"})
        return request.headers["signature"] == str(len(await request.body()))

    url = serve(authorize=is_signed, max_body_bytes=1000, options=CallOptions(timeout=60))
    signed = http.post(f"{url}/sis/lincoln/x", data=b"abc", headers={"Signature": "3"})
    assert (signed.status_code, [each.body for each in sis.asked]) == (200, [b"abc"])
    stranger = http.post(f"{url}/sis/lincoln/x", data=b"abc")
    assert (stranger.status_code, stranger.json()["detail"]) == (401, "Log in.")
    assert stranger.headers["www-authenticate"] == "Bearer"
    large = http.post(f"{url}/sis/lincoln/x", data=b"a" * 1001, headers={"Signature": "1001"})
    assert large.status_code == 413
    assert len(sis.asked) == 1


def test_headers_count_only_where_they_are_accepted(
    serve: MakeApp, gateway: Gateway, http: requests.Session
) -> None:
    """From an outside caller they are refused, and nothing is accepted."""
    headers = {"X-SIS-Priority": "low", "X-SIS-Timeout": "0"}
    answer = http.get(f"{serve()}/sis/lincoln/x", headers=headers)
    assert answer.status_code == 403
    assert gateway.jobs.list() == []
    url = serve(accept_headers=lambda request: request.client.host == "127.0.0.1")
    http.get(f"{url}/sis/lincoln/x", headers=headers)
    (job,) = gateway.jobs.list()
    assert job.priority.word == "low"
    beyond = http.get(f"{url}/sis/lincoln/x", headers={"X-SIS-Timeout": "999"})
    assert beyond.status_code == 422


def test_what_is_not_served_here_names_nothing(serve: MakeApp, http: requests.Session) -> None:
    """Neither the file of the configuration nor other providers."""
    for url in (serve(), serve(providers=["twin"])):
        answer = http.get(f"{url}/sis/other/x")
        assert answer.status_code == 404
        assert "lincoln" not in answer.text
        assert "toml" not in answer.text


@pytest.mark.parametrize("path", ["/sis/lincoln/../x", "/sis/lincoln/a%00", "/sis/lincoln//x"])
def test_a_bad_path_is_a_problem_document(serve: MakeApp, path: str) -> None:
    """The caller's mistake, by RFC 9457."""
    port = int(serve().rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: client.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 422 ")
    assert b"application/problem+json" in answer
