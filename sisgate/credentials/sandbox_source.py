"""The key source of the sandbox: its rotate API. Also a model for a provider that has one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests

from sisgate.credentials.sources import NewKey, Order, read_new_key
from sisgate.domain.secret import forget_locals
from sisgate.errors import KeySourceFailed


class SandboxSource:
    """Asks the sandbox's control plane for a key, and tells it which one is no longer used."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._url = options.get("url")

    def order(self, order: Order) -> NewKey:
        """Return a new key. The sandbox gives the same one for the same order."""
        return read_new_key(self._post(order, "rotate", {"order": order.id}))

    def take_back(self, order: Order, client_id: str) -> None:
        """Make the sandbox accept a key no longer."""
        self._post(order, "revoke", {"client_id": client_id})

    def _post(self, order: Order, path: str, words: Mapping[str, str]) -> bytes:
        url = f"{self._url or order.config.endpoints[0].url}/sandbox/keys/{path}"
        try:
            with requests.Session() as session:
                session.trust_env = False
                answer = session.post(url, json=words, timeout=order.seconds, allow_redirects=False)
                answer.raise_for_status()
                return answer.content
        except requests.RequestException as error:
            forget_locals(error)
            raise KeySourceFailed(
                f"The sandbox's rotate API cannot be used ({type(error).__name__})."
            ) from None
