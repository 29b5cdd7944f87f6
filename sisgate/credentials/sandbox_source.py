"""The key source for the sandbox and its rotate API; a model for a provider that has one."""

from collections.abc import Mapping
from typing import Any

import requests

from sisgate.credentials.sources import KeyRequest, NewKey, read_new_key
from sisgate.domain.secret import forget_locals
from sisgate.errors import KeySourceFailed


class SandboxSource:
    """Asks the sandbox's control plane for a key, and tells it which one is no longer used."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._url = options.get("url")

    def provision(self, request: KeyRequest) -> NewKey:
        """Return a new key. The sandbox returns the same one for the same request."""
        return read_new_key(self._post(request, "rotate", {"order": request.id}))

    def deprovision(self, request: KeyRequest, client_id: str) -> None:
        """Make the sandbox stop accepting a key."""
        self._post(request, "revoke", {"client_id": client_id})

    def _post(self, request: KeyRequest, path: str, payload: Mapping[str, str]) -> bytes:
        url = f"{self._url or request.config.endpoints[0].url}/sandbox/keys/{path}"
        try:
            with requests.Session() as session:
                session.trust_env = False
                response = session.post(
                    url, json=payload, timeout=request.seconds, allow_redirects=False
                )
                response.raise_for_status()
                return response.content
        except requests.RequestException as error:
            forget_locals(error)
            raise KeySourceFailed(
                f"The sandbox's rotate API cannot be used ({type(error).__name__})."
            ) from None
