"""The base class of every part of the configuration, and shared types."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict


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
