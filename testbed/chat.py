"""A chat that alerts are told to: it takes messages as JSON, or is down."""

import json

from testbed.http_server import Asked, HttpServer, Reply, json_reply


class Chat:
    """What it was told, in order; `server` runs it, `url` is its address for apprise."""

    def __init__(self) -> None:
        self.messages: list[dict[str, str]] = []
        self.is_down = False
        self.server = HttpServer(self._answer)

    @property
    def url(self) -> str:
        """The URL of a channel, with a secret in it."""
        return f"json://127.0.0.1:{self.server.port}/s3cret-path"

    @property
    def titles(self) -> list[str]:
        """The titles that came, in order."""
        return [each["title"] for each in self.messages]

    def titles_of(self, alert: str) -> list[str]:
        """Return the titles of the messages that name an alert."""
        return [each["title"] for each in self.messages if alert in each["message"]]

    def _answer(self, asked: Asked) -> Reply:
        if self.is_down:
            return json_reply({}, 503)
        self.messages.append(json.loads(asked.body))
        return json_reply({})
