"""Patterns of errors."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field

from sisgate.gateway import ErrorSummary
from sisgate.web.schemas.document import Document, Moment, OrderDocument
from sisgate.web.schemas.providers import Reason


class PatternDocument(Document):
    """Errors that are alike. The message has no values."""

    id: str
    provider: str
    endpoint: str
    code: str
    status: int | None
    message: str
    count: int
    first_seen: Moment
    last_seen: Moment
    last_job: str | None
    state: Literal["open", "resolved"]
    resolved_at: Moment | None
    resolved_by: str | None
    fixed_in: str | None
    reopened_at: Moment | None
    lately: Annotated[int, Field(description="In the last 20 minutes.")]
    usual: Annotated[float, Field(description="In as long a time of the day before.")]
    trend: Literal["rising", "steady", "falling"]
    is_spike: bool
    is_new: Annotated[bool, Field(description="First seen in the last 24 hours.")]
    by_hour: Annotated[list[int], Field(description="In each of the last 24 hours, oldest first.")]

    @classmethod
    def of(cls, pattern: ErrorSummary) -> Self:
        """Return the document of a pattern."""
        return cls.model_validate(pattern.as_dict())


class PatternsDocument(Document):
    """Patterns of errors, the one that was seen last first."""

    errors: list[PatternDocument]


class ResolveErrorOrder(OrderDocument):
    """Marks a pattern as fixed."""

    fixed_in: Annotated[str | None, Field(max_length=200)] = None


class ReopenErrorOrder(OrderDocument):
    """Takes back that a pattern is fixed."""

    reason: Reason = None
