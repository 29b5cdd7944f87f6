"""A visitor of the console without a browser: logs in, reads pages, sends forms."""

import re
from typing import Self

import requests

from testbed.web_service import WebService


class ConsoleVisitor:
    """A session of the console. `get` and `send` follow no redirect."""

    def __init__(self, service: WebService, token: str | None = None) -> None:
        self._service = service
        self.http = requests.Session()
        self.mark = ""
        if token is not None:
            self.log_in(token)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def log_in(self, token: str) -> requests.Response:
        """Log in, and remember what forms carry."""
        answer = self.send("/login", token=token)
        self.mark = self.own_mark()
        return answer

    def own_mark(self) -> str:
        """Return what the forms of this visitor carry."""
        found = re.search(r'name="mark" value="([0-9a-f]+)"', self.get("/").text)
        return found[1] if found else ""

    def get(self, path: str) -> requests.Response:
        """Ask for a page."""
        return self.http.get(f"{self._service.url}{path}", timeout=30, allow_redirects=False)

    def send(self, path: str, **fields: str) -> requests.Response:
        return self.http.post(
            f"{self._service.url}{path}", data={"mark": self.mark} | fields, timeout=30,
            allow_redirects=False,
        )  # fmt: skip
