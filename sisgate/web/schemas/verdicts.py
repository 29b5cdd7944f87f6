"""Verdicts: how something stands, and who is at fault."""

from typing import Annotated, Literal

from pydantic import Field

from sisgate.web.schemas.document import Document, Json, Moment


class CulpritDocument(Document):
    """Who is at fault."""

    kind: Literal["provider", "key", "app", "person", "fleet", "redis", "database", "nobody"]
    name: str | None


class CauseDocument(Document):
    """One thing that is wrong."""

    cause: Annotated[str, Field(examples=["provider_down", "quota_spent", "worker_missing"])]
    culprit: CulpritDocument
    severity: Literal["warns", "harms", "stops"]
    certainty: Literal["possible", "likely", "certain"]
    message: str
    remedy: str
    evidence: Annotated[Json, Field(description="Numbers, times and ids, by name.")]
    provider: str | None


class VerdictDocument(Document):
    """How something stands and why. Without a `culprit` all is well, or it `is_unclear` why."""

    subject: str
    at: Moment
    standing: Literal["well", "warning", "degraded", "stopped"]
    is_unclear: bool
    summary: str
    culprit: CauseDocument | None
    findings: Annotated[list[CauseDocument], Field(description="The one to act on first.")]
    figures: Json
