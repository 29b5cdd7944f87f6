"""A provider whose every answer, good or bad, holds secrets and names; it remembers what it got."""

import json
import threading
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODES = ("good", "malformed", "broken", "stuck")


class LeakyProvider:
    """A OneRoster server on the loopback interface. `mode` is how it answers now."""

    def __init__(self, *, token: str, student: Mapping[str, Any]) -> None:
        self.mode = "good"
        self.token = token
        self.student = dict(student)
        self.seen: list[str] = []
        self.stuck = threading.Event()
        self._release = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        """Let go of whoever waits, and stop."""
        self._release.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, line: str, body: str) -> tuple[int, bytes]:
        self.seen.append(f"{line} {body}")
        if "/token" in line:
            words: Any = {"access_token": self.token, "token_type": "Bearer", "expires_in": 3600}
            return 200, json.dumps(words).encode()
        said = f"{self.student} for {line} {body}"
        whole = json.dumps({"users": [self.student], "message": said, "code": said}).encode()
        if self.mode == "stuck":
            self.stuck.set()
            self._release.wait(60)
        if self.mode == "malformed":
            return 200, whole[:-20]
        return (500 if self.mode == "broken" else 200), whole


def _handler(provider: LeakyProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            asked = f"{self.path} {self.headers.get('Authorization', '')}"
            status, words = provider.answer(asked, body)
            # The worker that waited for a stuck answer is dead.
            with suppress(BrokenPipeError, ConnectionResetError):
                self._send(status, words)

        def _send(self, status: int, words: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("X-Total-Count", "1")
            self.send_header("Content-Length", str(len(words)))
            self.end_headers()
            self.wfile.write(words)

        def log_message(self, *_words: Any) -> None:
            """Say nothing."""

    return Handler
