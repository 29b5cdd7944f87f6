"""The base classes of all bodies."""

import re
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, model_validator


def _given(value: Any) -> Any:
    """Return what a value gives as JSON, if it does; of others the attributes are read."""
    return value.as_dict() if hasattr(value, "as_dict") else value


class OrderDocument(BaseModel):
    """A body that a caller sends, named as the gateway's arguments. Another name is a mistake."""

    model_config = ConfigDict(extra="forbid", validate_by_name=True, validate_by_alias=True)


class Document(BaseModel):
    """A body that the service sends. Values of the gateway that need no other shape have none."""

    model_config = ConfigDict(serialize_by_alias=True, from_attributes=True)

    _values = model_validator(mode="before")(_given)

    @classmethod
    def of(cls, value: Any) -> Self:
        """Return the document of a value of the gateway."""
        return cls.model_validate(value)


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("needs a UTC offset, such as Z")
    return value


def _written(value: Any) -> Any:
    """Refuse numbers: `2026` would be taken for seconds since 1970, and `-2` for two before it."""
    if isinstance(value, int | float) or re.fullmatch(r"[-+\d.eE_ ]*", str(value)):
        raise ValueError("is no time: write it as 2026-11-30T08:00:00Z")
    return value


Moment = Annotated[datetime, BeforeValidator(_written), AfterValidator(_aware)]
"""A time with a UTC offset, as RFC 3339 writes it."""

Json = Annotated[dict[str, Any], BeforeValidator(_given)]
