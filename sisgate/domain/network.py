"""How a provider is reached: whom to trust, what to show, and by which proxy."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Network:
    """Everything about a connection that is the same for all calls of a provider.

    `ca_file` replaces the public authorities; `client_key` is in the file of `client_cert` unless
    it is named. `proxy` is a URL, which may hold a password: its repr shows none.
    """

    ca_file: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    proxy: str | None = field(default=None, repr=False)
    no_proxy: tuple[str, ...] = ()

    def proxy_for(self, url: str) -> str | None:
        """Return the proxy for a URL, None for none.

        Plain http is asked directly: it is for test servers, and a proxy would read the key.

        >>> network = Network(proxy="http://proxy.test:8080", no_proxy=("lincoln.test",))
        >>> network.proxy_for("https://sis.test/x"), network.proxy_for("https://a.lincoln.test/x")
        ('http://proxy.test:8080', None)
        >>> network.proxy_for("http://sis.test/x")
        """
        parts = urlsplit(url)
        if self.proxy is None or parts.scheme != "https":
            return None
        host, port = (parts.hostname or "").lower(), parts.port or 443
        return None if any(_is_meant(host, port, name) for name in self.no_proxy) else self.proxy

    @property
    def proxy_place(self) -> str:
        """Host and port of the proxy, for messages."""
        parts = urlsplit(self.proxy or "")
        return f"{parts.hostname or ''}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def _is_meant(host: str, port: int, name: str) -> bool:
    """Whether an entry of NO_PROXY (a name, with all below it, an address, a network, `*`) fits.

    >>> [_is_meant("a.lincoln.test", 443, n) for n in (".lincoln.test", "coln.test", "*")]
    [True, False, True]
    >>> [_is_meant("10.1.2.3", 443, n) for n in ("10.0.0.0/8", "10.1.2.3:443", "10.1.2.3:80")]
    [True, True, False]
    """
    name = name.strip().lower()
    if name == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False)
    except ValueError:
        pass
    name, _, wanted = name.partition(":")
    if wanted and wanted != str(port):
        return False
    name = name.lstrip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))
