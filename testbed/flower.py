"""What a test asks of Flower over HTTP, logged in as the file with its login says."""

from base64 import b64encode
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen


class FlowerPages:
    """Flower's pages and its API."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.login_file = folder / "flower-password.txt"

    def get(self, path: str, *, login: bool = True) -> tuple[int, str]:
        """Return the status and text of a page; 0 while Flower does not listen yet."""
        return self._ask(Request(f"{self.url}{path}"), login=login)

    def post(self, path: str, **form: str) -> tuple[int, str]:
        """Send a form, as Flower's buttons do."""
        return self._ask(Request(f"{self.url}{path}", urlencode(form).encode()), login=True)

    def _ask(self, request: Request, *, login: bool) -> tuple[int, str]:
        if login and self.login_file.exists():
            basic = b64encode(self.login_file.read_bytes().strip()).decode()
            request.add_header("Authorization", f"Basic {basic}")
        try:
            with urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""
