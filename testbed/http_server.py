"""A small HTTP(S) server on the loopback interface whose answers a test gives.

A header named `Reason-Phrase` is that of the status as well. With a `Content-Length` of its own an
answer ends where its body ends, and the connection with it.
"""

import json
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request. Header names are lower case; `form` is the body read as a form.

    `target` is path and query as they were sent, `lines` are the header lines with their names as
    sent, several of one name included.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    form: Mapping[str, str]
    body: bytes = b""
    target: str = ""
    lines: Sequence[tuple[str, str]] = ()


Reply = tuple[int, Mapping[str, str], bytes]


def json_reply(value: Any, status: int = 200, **headers: str) -> Reply:
    """Return an answer in JSON; a header's `_` stands for `-`."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return status, {"Content-Type": "application/json", **named}, json.dumps(value).encode()


class HttpServer:
    """Serves each request by `answer`, in threads; `asked` are those that came."""

    def __init__(
        self,
        answer: Callable[[Asked], Reply],
        *,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.asked: list[Asked] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                if tls is not None:
                    # Here and not at accept: a handshake that fails must end this thread only.
                    self.request = tls.wrap_socket(self.request, server_side=True)
                super().setup()

            def finish(self) -> None:
                """Close the connection; the server knows only the one without TLS."""
                super().finish()
                self.request.close()

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                parts = urlsplit(self.path)
                one = Asked(
                    self.command,
                    parts.path,
                    dict(parse_qsl(parts.query, keep_blank_values=True)),
                    {name.lower(): text for name, text in self.headers.items()},
                    dict(parse_qsl(body.decode("latin-1"), keep_blank_values=True)),
                    body,
                    self.path,
                    self.headers.items(),
                )
                asked.append(one)
                status, headers, out = answer(one)
                self.send_response(status, headers.get("Reason-Phrase"))
                for name, text in headers.items():
                    self.send_header(name, text)
                has_body = status not in {204, 304}
                if has_body and "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(out)))
                self.end_headers()
                if has_body and self.command != "HEAD":
                    self.wfile.write(out)
                self.close_connection |= "Content-Length" in headers

            # The names that http.server asks for.
            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _serve  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A client that goes away, or that does not trust us, is none of our errors."""

        self._server = Server((host, 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
