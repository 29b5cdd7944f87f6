"""Proxies and authorities: of a provider's table, and of the machine's environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sisgate.settings.urls import unencoded

_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_PROXY_VARIABLES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
_NO_PROXY_VARIABLES = ("no_proxy", "NO_PROXY")


def proxy_url(value: Any) -> Any:
    """Return the URL of a proxy; `""` is none. `ValueError` without the URL, which may be secret.

    >>> proxy_url("proxy.test:8080")
    'http://proxy.test:8080'
    """
    if not isinstance(value, str) or not value:
        return value
    url = value if "://" in value else f"http://{value}"
    if (what := unencoded(url)) is not None:
        raise ValueError(what)
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ValueError(
            "write the URL of an HTTP proxy, such as http://proxy.example:8080; SOCKS is not spoken"
        )
    return url


def network_defaults(environment: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Return `ca_file`, `proxy` and `no_proxy` as the machine's environment has them for all.

    Of several variables the first that is set counts, in the order in which `requests` looks. The
    second value is what is wrong with them, for those whom it concerns.
    """
    found: dict[str, Any] = {}
    problems: list[str] = []
    if (variable := _first(environment, _CA_VARIABLES)) is not None:
        found["ca_file"] = Path(environment[variable]).absolute()
    if (variable := _first(environment, _PROXY_VARIABLES)) is not None:
        try:
            found["proxy"] = proxy_url(environment[variable])
        except ValueError as error:
            problems.append(f"environment: {variable}: {error}")
    if (variable := _first(environment, _NO_PROXY_VARIABLES)) is not None:
        names = (name.strip() for name in environment[variable].split(","))
        found["no_proxy"] = tuple(name for name in names if name)
    return found, problems


def _first(environment: Mapping[str, str], variables: tuple[str, ...]) -> str | None:
    return next((name for name in variables if environment.get(name)), None)
