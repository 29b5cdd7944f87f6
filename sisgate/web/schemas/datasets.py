"""Datasets, without their records."""

from __future__ import annotations

from sisgate.web.schemas.document import Document


class CountDocument(Document):
    """How many records are not deleted."""

    provider: str
    resource: str
    records: int


class CursorDocument(Document):
    """The number of the newest change."""

    cursor: int
