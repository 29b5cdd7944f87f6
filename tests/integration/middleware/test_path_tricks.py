"""No path, however it is written, leaves the provider's origin and base path."""

import itertools
import socket
from collections.abc import Iterator
from urllib.parse import unquote

import pytest

from sisgate.integrations.fastapi import CallOptions
from testbed.http_server import HttpServer, json_reply
from testbed.sis import Sis
from tests.integration.middleware.conftest import MakeApp


def words(text: str) -> list[str]:
    """Return what blanks divide."""
    return text.split()


DOTS = words(
    ".. %2e%2e .%2e %2E. %252e%252e ..; ..;x=y ..%00 %c0%ae%c0%ae ..%20 %u002e%u002e "
    "\uff0e\uff0e ..%5c ... %2e%2e%2f ..%2f"
)
SLASHES = words(r"/ // \ %2f %5c /./ %252f /%2e/ \/ /;/")
ENDS = words("secret a%0d%0aX-Planted:%20y a%00b a?x=%0d%0aX-Planted:%20y a#f a%23f a%3fb")
HOSTS = words(
    r"//{e}/x /\{e}/x \\{e}\x /@{e}/x http://{e}/x /http://{e}/x /%2f%2f{e}/x /.{e} :80@{e}/x "
    r"@{e}/x /%40{e}/x ?u=http://{e}/x //u:p@{e}/x /{e}:80/x"
)
BEFORE = words(
    "/sis/lincoln /sis/lincoln/a /sis/.. /sis/{e} /sis/x@{e} /sis/http: http://{e}/sis/lincoln "
    "//{e}/sis/lincoln /sis//lincoln /sis/lincoln@{e} /sis/-/jobs /sis/lincoln%00 /%73is/lincoln "
    "/x/../sis/lincoln"
)


def tricks(elsewhere: str) -> Iterator[str]:
    """Yield request targets that try to reach another host, or a path above the base path."""
    for before, slash, dots, end in itertools.product(BEFORE[:2], SLASHES, DOTS, ENDS[:4]):
        yield f"{before}{slash}{dots}{slash}{end}"
    for before, host in itertools.product(BEFORE, HOSTS):
        yield f"{before}{host}".format(e=elsewhere) if "{e}" in host else before
    for before, end in itertools.product(BEFORE, ENDS):
        yield f"{before}/{end}".replace("{e}", elsewhere)


GET = "GET /sis/lincoln/a HTTP/1.1|Host: x|"
RAW = [
    "GET /sis/lincoln/a HTTP/1.1|Host: {e}|X-Forwarded-Host: {e}||",
    f"{GET}Content-Length: 5|Content-Length: 6||abcdef",
    f"{GET}Content-Length: -1||",
    f"{GET}Content-Length: 3|Transfer-Encoding: chunked||0||GET /sis/lincoln/../x HTTP/1.1||",
    f"{GET}Accept: a| X-Planted: y||",
    f"{GET}|GET /sis/lincoln/../b HTTP/1.1|Host: x||",
    "GET /sis/lincoln/a\rb HTTP/1.1|Host: x||",
    "GET /sis/lincoln/a\nX-Planted: y HTTP/1.1|Host: x||",
    "CONNECT {e} HTTP/1.1|Host: {e}||",
    "GET {e} HTTP/1.1|Host: x||",
    "OPTIONS * HTTP/1.1|Host: x||",
]
"""Whole messages; | stands for a line break."""


def send(port: int, message: bytes) -> None:
    """Send a request as it is, and read until the server says no more."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(message)
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):
            pass


@pytest.mark.usefixtures("caller")
def test_no_trick_leaves_the_providers_origin(serve: MakeApp, sis: Sis) -> None:
    """Of more than 1,000; what does reach the provider stays below its base path."""
    with HttpServer(lambda _: json_reply({})) as elsewhere:
        host = f"127.0.0.1:{elsewhere.port}"
        port = int(serve(options=CallOptions(timeout=20, keep=0)).rpartition(":")[2])
        sent = 0
        for target in dict.fromkeys(tricks(host)):
            line = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            send(port, line.encode())
            sent += 1
        for message in RAW:
            send(port, message.replace("{e}", host).replace("|", "\r\n").encode())
            sent += 1
        assert sent >= 1000
        assert elsewhere.asked == []
    assert sis.asked, "an honest one is among them"
    for asked in sis.asked:
        path, _, query = asked.target.partition("?")
        assert path.startswith("/base/"), asked.target
        assert not {"", ".", ".."} & set(unquote(path).rstrip("/").split("/")[1:]), asked.target
        assert not any(c in unquote(path) for c in "\\\0\r\n"), asked.target
        assert all(c.isprintable() for c in query), asked.target
        assert not any("planted" in name.lower() for name, _ in asked.lines), asked.lines
        assert asked.headers["host"] == f"127.0.0.1:{sis.port}"
