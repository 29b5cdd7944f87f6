"""Two faces at one address: the API below its paths, and the console everywhere else."""

from starlette.types import ASGIApp, Receive, Scope, Send

API = ("/v1", "/health", "/metrics")
"""The paths of the API, with all below them."""


class Faces:
    """Sends each request to the API, with what stands before it, or to the console."""

    def __init__(self, app: ASGIApp, console: ASGIApp) -> None:
        self._api = app
        self._console = console

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        app = self._console if scope["type"] == "http" and not is_api(scope) else self._api
        await app(scope, receive, send)


def is_api(scope: Scope) -> bool:
    """Whether a request is to the API."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    return any(path == each or path.startswith(f"{each}/") for each in API)
