"""What a visitor prefers: light or dark, and whether single keys do something. Kept in cookies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.responses import Response

THEME, KEYS = "sisgate_theme", "sisgate_keys"
THEMES = ("auto", "light", "dark")
A_YEAR = 365 * 24 * 3600


@dataclass(frozen=True)
class Preferences:
    """`theme` is `auto`, `light` or `dark`; `keys`: single keys go to pages."""

    theme: str = "auto"
    keys: bool = True

    def changed(self, form: Mapping[str, str]) -> Preferences:
        """Return the preferences with what a form changes."""
        theme = form.get("theme", self.theme)
        keys = form.get("keys", "on" if self.keys else "off") == "on"
        return replace(self, theme=theme if theme in THEMES else self.theme, keys=keys)

    def keep(self, response: Response) -> None:
        """Let the browser keep them."""
        for name, value in ((THEME, self.theme), (KEYS, "on" if self.keys else "off")):
            response.set_cookie(name, value, max_age=A_YEAR, samesite="strict", httponly=True)


def preferences_of(request: Request) -> Preferences:
    """Return what the browser has kept."""
    kept = request.cookies
    return Preferences().changed({"theme": kept.get(THEME, ""), "keys": kept.get(KEYS, "on")})
