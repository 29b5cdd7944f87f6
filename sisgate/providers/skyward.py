"""Skyward: OneRoster 1.2, or 1.1 at another path.

1.2 is served without the `rostering`
part of the specification's path. An expired token is told by the words `Token has expired`.
"""

from __future__ import annotations

from typing import ClassVar

from sisgate.providers.oneroster import OneRoster


class Skyward(OneRoster):
    """OneRoster as Skyward serves it."""

    kind = "skyward"
    default_limit = "2000/h"
    base_paths: ClassVar[dict[str, str]] = {
        "1.1": "/api/ims/oneroster/v1p1",
        "1.2": "/ims/oneroster/v1p2",
    }

    def token_path(self) -> str | None:
        """The usual path of Skyward's token endpoint."""
        return "/oauth/token"
