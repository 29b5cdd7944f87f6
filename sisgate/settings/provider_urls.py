"""The URLs of a provider: its endpoints, its API's path in them, and its proxy."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator

from sisgate.settings.urls import unencoded

NO_PASSWORD = "a URL must not carry a user name or password; use `sisgate keys add`"


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("write an absolute URL that begins with https://")
    if parts.username or parts.password:
        raise ValueError(NO_PASSWORD)
    try:
        _ = parts.port
    except ValueError:
        # Python's error quotes the port, which may be part of a password.
        raise ValueError("the port is not a number from 0 to 65535") from None
    return value.rstrip("/")


HttpUrl = Annotated[str, AfterValidator(_http_url)]


def _base_url(value: str) -> str:
    if "@" in value:
        raise ValueError(NO_PASSWORD)
    if "?" in value or "#" in value:
        raise ValueError("write the URL without ? and #: paths are appended to it")
    return _http_url(value)


BaseUrl = Annotated[str, AfterValidator(_base_url)]


def _origin(value: str) -> str:
    parts = urlsplit(_http_url(value))
    if parts.path or parts.query or parts.fragment:
        raise ValueError("write an origin: scheme, host and port, such as https://sis.example:8443")
    return f"{parts.scheme}://{parts.netloc}".lower()


Origin = Annotated[str, AfterValidator(_origin)]


_ONEROSTER = re.compile(r"/ims/oneroster(/|$)", re.IGNORECASE)
_POWERSCHOOL = re.compile(r"/ws(/v1|/schema|/schema/query)?/?$")


def taken_apart(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a provider's settings with the API's path moved from its endpoints to `base_path`.

    OneRoster URLs often include the path: it becomes the base path, and sets the version if none is
    configured; a PowerSchool URL may end in `/ws/v1`, which is dropped. Raises `ValueError` if the
    endpoints or `base_path` contradict each other.

    >>> settings = taken_apart(
    ...     {"kind": "oneroster", "endpoints": [{"url": "https://sis.example/ims/oneroster/v1p1/"}]}
    ... )
    >>> settings["endpoints"], settings["base_path"], settings["version"]
    ([{'url': 'https://sis.example'}], '/ims/oneroster/v1p1', '1.1')
    """
    settings, endpoints = dict(values), values.get("endpoints")
    if not isinstance(endpoints, list | tuple) or not all(
        isinstance(each, Mapping) and isinstance(each.get("url"), str) for each in endpoints
    ):
        return settings
    urls = [each["url"].strip() for each in endpoints]
    if values.get("kind") == "powerschool":
        urls = [_POWERSCHOOL.sub("", url) for url in urls]
    elif any(_ONEROSTER.search(_path(url)) for url in urls):
        (path, *others) = sorted({_path(url) for url in urls})
        configured = values.get("base_path")
        if others or (isinstance(configured, str) and configured.rstrip("/") != path):
            raise ValueError(
                f"the endpoints' URLs include the OneRoster path {path}, but "
                f"{'not all the same one' if others else f'base_path is {configured}'}: write "
                "the URLs without it, and the whole path as base_path"
            )
        settings["base_path"] = path
        if "version" not in values and path.lower().endswith("/v1p1"):
            settings["version"] = "1.1"
        urls = [url.rstrip("/").removesuffix(path) for url in urls]
    settings["endpoints"] = [
        {**each, "url": url} for each, url in zip(endpoints, urls, strict=True)
    ]
    return settings


def _path(url: str) -> str:
    try:
        return urlsplit(url).path.rstrip("/")
    except ValueError:  # which the URL's own check reports
        return ""


_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_PROXY_VARIABLES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
_NO_PROXY_VARIABLES = ("no_proxy", "NO_PROXY")


def proxy_url(value: Any) -> Any:
    """Return the URL of a proxy; `""` is none. Errors omit the URL, which may be secret.

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
            "write an HTTP proxy's URL, such as http://proxy.example:8080; SOCKS is not supported"
        )
    return url


def network_defaults(environment: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Return the environment's `ca_file`, `proxy` and `no_proxy`, and their problems.

    Of several variables the first that is set counts, in the order of `requests`.
    """
    defaults: dict[str, Any] = {}
    problems: list[str] = []
    if (variable := _first(environment, _CA_VARIABLES)) is not None:
        defaults["ca_file"] = Path(environment[variable]).absolute()
    if (variable := _first(environment, _PROXY_VARIABLES)) is not None:
        try:
            defaults["proxy"] = proxy_url(environment[variable])
        except ValueError as error:
            problems.append(f"environment: {variable}: {error}")
    if (variable := _first(environment, _NO_PROXY_VARIABLES)) is not None:
        names = (name.strip() for name in environment[variable].split(","))
        defaults["no_proxy"] = tuple(name for name in names if name)
    return defaults, problems


def _first(environment: Mapping[str, str], variables: tuple[str, ...]) -> str | None:
    return next((name for name in variables if environment.get(name)), None)
