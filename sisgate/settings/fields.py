"""The base class of every part of the configuration, and shared types."""

import contextlib
from datetime import timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from sisgate.domain.moments import parse_duration


class Frozen(BaseModel):
    """A part of the configuration: frozen, and an unknown name is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"{value!r} is not a time zone; use one like America/Chicago") from None
    return value


Zone = Annotated[str, AfterValidator(_zone)]


def _duration(value: Any) -> Any:
    """Return a text such as `15m` parsed, and leave seconds and pydantic's own forms to it."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return parse_duration(value)
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
"""A length of time: seconds, `"15m"`, `"PT15M"`, or another form that pydantic reads."""
