"""Endpoint URLs as vendors hand them out, with the path of their API: taken apart. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

_ONEROSTER = re.compile(r"/ims/oneroster(/|$)", re.IGNORECASE)
_POWERSCHOOL = re.compile(r"/ws(/v1|/schema|/schema/query)?/?$")


def taken_apart(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a provider's settings with the API's path moved from its endpoints to `base_path`.

    A OneRoster URL is often given whole. Its path is the base path, and says the version where none
    is configured; a PowerSchool URL may end in `/ws/v1`, which is left out. `ValueError` where the
    endpoints or `base_path` say different things.

    >>> found = taken_apart(
    ...     {"kind": "oneroster", "endpoints": [{"url": "https://sis.example/ims/oneroster/v1p1/"}]}
    ... )
    >>> found["endpoints"], found["base_path"], found["version"]
    ([{'url': 'https://sis.example'}], '/ims/oneroster/v1p1', '1.1')
    """
    made, endpoints = dict(values), values.get("endpoints")
    if not isinstance(endpoints, list | tuple) or not all(
        isinstance(each, Mapping) and isinstance(each.get("url"), str) for each in endpoints
    ):
        return made
    urls = [each["url"].strip() for each in endpoints]
    if values.get("kind") == "powerschool":
        urls = [_POWERSCHOOL.sub("", url) for url in urls]
    elif any(_ONEROSTER.search(_path(url)) for url in urls):
        (path, *others) = sorted({_path(url) for url in urls})
        configured = values.get("base_path")
        if others or (isinstance(configured, str) and configured.rstrip("/") != path):
            raise ValueError(
                f"the endpoints' URLs hold the path of OneRoster, {path}, and "
                f"{'not all the same one' if others else f'base_path is {configured}'}: write "
                "the URLs without it, and the whole path as base_path"
            )
        made["base_path"] = path
        if "version" not in values and path.lower().endswith("/v1p1"):
            made["version"] = "1.1"
        urls = [url.rstrip("/").removesuffix(path) for url in urls]
    made["endpoints"] = [{**each, "url": url} for each, url in zip(endpoints, urls, strict=True)]
    return made


def _path(url: str) -> str:
    try:
        return urlsplit(url).path.rstrip("/")
    except ValueError:  # which the URL's own check reports
        return ""
