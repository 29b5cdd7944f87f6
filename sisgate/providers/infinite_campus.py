"""Infinite Campus: OneRoster 1.2 under Campus' own paths.

A district serves one
application or several; each has its own path. `base_path` is the whole prefix, for instance
`/campus/api/oneroster/v1p2/lincoln/ims/oneroster/rostering/v1p2` for the application `lincoln`.
Without it the prefix has no application, as a district with a single one serves it. The token URL
may want `?appName=…`: configure it then. Campus changes every sourcedId when a district moves from
1.1 to 1.2, and asks for at most 5 requests at once, one at a time in school hours.
"""

from __future__ import annotations

from typing import ClassVar

from sisgate.providers.oneroster import OneRoster


class InfiniteCampus(OneRoster):
    """OneRoster 1.2 as Infinite Campus serves it."""

    kind = "infinite_campus"
    default_limit = "500/h"
    # "At most five calls at once", serial in school hours: see the setting `school_hours`.
    default_concurrency = 5
    base_paths: ClassVar[dict[str, str]] = {
        "1.2": "/campus/api/oneroster/v1p2/ims/oneroster/rostering/v1p2"
    }

    def token_path(self) -> str | None:
        """Campus' token endpoint for all applications of a district."""
        return "/campus/oauth2/token"
