"""The base classes of all bodies."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict


class OrderDocument(BaseModel):
    """A body that a caller sends. An unknown name is a mistake."""

    model_config = ConfigDict(extra="forbid", validate_by_name=True, validate_by_alias=True)


class Document(BaseModel):
    """A body that the service sends."""

    model_config = ConfigDict(serialize_by_alias=True, from_attributes=True)

    @classmethod
    def of(cls, value: Any) -> Self:
        """Return the document of a value of the gateway that has the same names."""
        return cls.model_validate(value)


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("needs a UTC offset, such as Z")
    return value


Moment = Annotated[datetime, AfterValidator(_aware)]
"""A time with a UTC offset."""

Json = dict[str, Any]
