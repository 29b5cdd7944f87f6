"""The audit log: its events, and the proof that it is whole."""

from typing import Annotated

from pydantic import Field

from sisgate.web.schemas.document import Document, Json, Moment


class EventDocument(Document):
    """An event of the audit log."""

    event: str
    at: Moment
    actor: str
    action: str
    subject: str
    reason: str | None
    provider: str | None
    job: str | None
    request: str | None
    detail: Json | None


class EventsDocument(Document):
    """Events of the audit log, newest first."""

    events: list[EventDocument]


class FindingDocument(Document):
    """One thing that is wrong with the log, and where: an event or a seal."""

    kind: str
    place: str
    what: str


class VerificationDocument(Document):
    """What was verified. `findings` are the first 100 things that are wrong, `counts` all by kind.

    `heads` counts the heads kept outside the database that the log was compared with. Without any,
    a missing end would go unnoticed.
    """

    whole: bool
    events: int
    seals: int
    unsealed: int
    heads: int
    last_seal: int | None
    last_sealed_at: Moment | None
    newest_head: int | None
    counts: dict[str, int]
    findings: list[FindingDocument]


class SealedDocument(Document):
    """The number of the new seal; null if there was nothing to seal."""

    seal: int | None


class HeadDocument(Document):
    """The signed end of the log; written as a line of JSON, `sisgate audit verify` compares it."""

    number: int
    at: Annotated[str, Field(description="As it was signed.")]
    total: int
    head: str
    key: str
    signature: str


class NewestHeadDocument(Document):
    """The head of the newest seal; null before the first."""

    head: HeadDocument | None


class PublicKeysDocument(Document):
    """The public audit keys, newest first, as `sisgate audit verify --public-key` takes them."""

    keys: Annotated[list[str], Field(examples=[["1f0a6c2e:MCowBQYDK2VwAyEA…"]])]
