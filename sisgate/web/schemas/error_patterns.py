"""Patterns of errors."""

from typing import Annotated

from pydantic import Field

from sisgate.gateway import ErrorSummary
from sisgate.web.schemas.document import Document, OrderDocument


class HistoryOfPattern(Document):
    """How often a pattern came, by the beginning of each ten minutes."""

    counts: dict[str, int]


class PatternsDocument(Document):
    """Patterns of errors, the one that was seen last first."""

    errors: list[ErrorSummary]


class ResolveErrorOrder(OrderDocument):
    """Marks a pattern as fixed."""

    fixed_in: Annotated[str | None, Field(max_length=200)] = None
