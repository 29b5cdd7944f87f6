"""A provider that answers as a test wants, and notes what it was asked."""

from collections.abc import Callable

from testbed.http_server import Asked, HttpServer, Reply, json_reply


class Sis(HttpServer):
    """Answers as `reply` says, which a test may replace."""

    def __init__(self) -> None:
        self.reply: Callable[[Asked], Reply] = lambda _: json_reply({"orgs": []})
        super().__init__(lambda asked: self.reply(asked))
