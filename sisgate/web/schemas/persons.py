"""Persons: erasing one, and who has read their data. Ids are in bodies, which no log keeps."""

from typing import Annotated

from pydantic import Field

from sisgate.domain.choices import PersonResource
from sisgate.gateway import PersonDisclosure
from sisgate.web.schemas.document import Document, Moment, OrderDocument
from sisgate.web.schemas.providers import Reason

SourcedId = Annotated[
    str, Field(min_length=1, max_length=255, description="The person's id at the provider.")
]


class PersonOrder(OrderDocument):
    """A person of a provider. `resource`: which one, if two share the id."""

    provider: str
    sourced_id: SourcedId
    resource: PersonResource | None = None


class ErasureOrder(PersonOrder):
    """Whom to erase. `dry_run` only counts; else a reason is needed, which names nobody."""

    suppress: Annotated[bool, Field(description="Keep the person out of later syncs.")] = True
    dry_run: bool = False
    reason: Reason = None


class LiftOrder(PersonOrder):
    """Whose suppression ends, and why."""

    reason: Annotated[str, Field(min_length=1, max_length=500)]


class DisclosureOrder(PersonOrder):
    """Whose readers are looked for. This question is audited, too."""

    since: Moment | None = None
    until: Moment | None = None


class PseudonymOrder(OrderDocument):
    """A person of a provider."""

    provider: str
    sourced_id: SourcedId


class LeftDocument(Document):
    """What still names the person: in which column, in how many rows."""

    table: str
    column: str
    rows: int
    kind: str
    note: str


class ErasureDocument(Document):
    """What was erased, or would be, by place; and what a search found afterwards.

    `person` is a pseudonym. `compacted`: whether freed space was overwritten, null where that is
    the database's own work.
    """

    provider: str
    person: str
    done: dict[str, int]
    left: list[LeftDocument]
    clean: bool
    suppressed: bool
    compacted: bool | None
    dry_run: bool


class LiftedDocument(Document):
    """Whether later syncs were leaving the person out."""

    lifted: bool


class DisclosuresDocument(Document):
    """The readers, oldest first."""

    disclosures: list[PersonDisclosure]


class PseudonymsDocument(Document):
    """How the audit log names the person, as a student and as a teacher."""

    pseudonyms: list[str]
