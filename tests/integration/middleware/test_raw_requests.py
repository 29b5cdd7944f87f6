"""Bytes that no client library sends: they ask the provider for nothing but what they say."""

import re
from urllib.parse import unquote

import pytest

from sisgate.integrations.fastapi import CallOptions
from testbed.http_server import HttpServer, json_reply
from testbed.raw_requests import answer_to, raw_requests
from testbed.sis import Sis
from tests.integration.middleware.conftest import MakeApp

PLANTED = "planted-4711"
HEADERS = (
    f"Authorization: Bearer {PLANTED}", f"Cookie: session={PLANTED}", f"X-Api-Key: {PLANTED}",
    f"Connection: accept, {PLANTED}", f"{PLANTED}: x", f"X-Forwarded-Host: {PLANTED}",
    f"Via: {PLANTED}", f"Referer: {PLANTED}", f"User-Agent: {PLANTED}", f"Origin: {PLANTED}",
)  # fmt: skip
FORMS = (
    "{}", "//{e}{}", "http://{e}{}", "/\\{e}{}", "@{e}{}", ":80@{e}{}", "{}/..", "{}/%2e%2e/x",
    "{}//x", "{}\\x", "{}%5cx", "{}%00", "{}\0", "{}%0d%0aX-P:1", "{}#x", "{}@{e}", "{}/http://{e}",
    "{}?x=%0d%0aX-P:1", "{}?a=%ff", "{}%zz", "{}\xe9", "{};..", "",
)  # fmt: skip
PATHS = ("/sis/lincoln/a", "/sis/lincoln", "/sis/lincoln/b/c")

OUR_OWN = {
    "host", "connection", "user-agent", "accept", "accept-encoding", "content-type",
    "content-length", "if-none-match",
}  # fmt: skip
"""Those that sisgate sends, and the one that it passes on."""


@pytest.mark.usefixtures("caller")
def test_no_bytes_leave_the_origin_or_plant_a_header(
    serve: MakeApp, sis: Sis, caplog: pytest.LogCaptureFixture
) -> None:
    """Of more than 1,000 requests; and none of them is answered as a failure of the app."""
    with HttpServer(lambda _: json_reply({})) as elsewhere:
        host = f"127.0.0.1:{elsewhere.port}"
        targets = [
            form.replace("{e}", host).replace("{}", path) for path in PATHS for form in FORMS
        ]
        port = int(serve(options=CallOptions(timeout=20, keep=0)).rpartition(":")[2])
        wrong = []
        sent = 0
        for request in raw_requests(dict.fromkeys(targets), HEADERS):
            answer = answer_to(port, request)
            sent += 1
            failed = [int(status) for status in re.findall(rb"HTTP/1\.[01] (5\d\d) ", answer)]
            if set(failed) - {501, 505} or b"Traceback" in answer:
                wrong.append((request[:200], answer[:300]))
        assert wrong == []
        assert sent >= 1000
        assert elsewhere.asked == []
    assert len(sis.asked) > 100, "honest ones are among them"
    for asked in sis.asked:
        path = asked.target.partition("?")[0]
        assert path.startswith("/base/"), asked.target
        assert not {"", ".", ".."} & set(unquote(path).rstrip("/").split("/")[1:]), asked.target
        assert PLANTED not in str(asked.lines), asked.lines
        assert asked.headers["host"] == f"127.0.0.1:{sis.port}"
        assert {name.lower() for name, _ in asked.lines} <= OUR_OWN, asked.lines
    assert [each.getMessage() for each in caplog.records if each.exc_info] == []
