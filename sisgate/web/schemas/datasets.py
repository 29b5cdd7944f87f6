"""Datasets, without their records."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sisgate.web.schemas.document import Document, Json, Moment, OrderDocument
from sisgate.web.schemas.providers import Reason


class CountDocument(Document):
    """How many records are not deleted."""

    provider: str
    resource: str
    records: int


class CursorDocument(Document):
    """The number of the newest change."""

    cursor: int


class AbsentDocument(Document):
    """A dataset that the provider refused: its message, the job, and the time of the next try."""

    resource: str
    status: int
    message: str
    job: str
    since: Moment
    asked_again_at: Moment


class DatasetsDocument(Document):
    """The datasets that a sync of the whole roster reads, in order, and those it leaves out."""

    roster: list[str]
    absent: list[AbsentDocument]


class RestartOrder(OrderDocument):
    """Why all readers of changes start over."""

    reason: Reason = None


class RestartedDocument(Document):
    """The datasets whose cursors are too old now, as PROVIDER/RESOURCE."""

    datasets: list[str]


class SyncedDataset(Document):
    """A dataset as the last syncs left it. Times are null for never, `change` is the newest's."""

    provider: str
    resource: str
    synced_at: Moment | None
    full_synced_at: Moment | None
    change: int


class SyncedDatasets(Document):
    """Datasets that were synced."""

    datasets: list[SyncedDataset]


class FeedChangeDocument(Document):
    """One change without its record."""

    sequence: int
    operation: str
    sourced_id: str
    changed_at: Moment
    job_id: str


class FeedDocument(Document):
    """A feed: its newest number, the number up to which changes are gone, the newest changes."""

    provider: str
    resource: str
    newest: int
    horizon: int
    oldest_at: Moment | None
    changes: list[FeedChangeDocument]


class FeedConsumerDocument(Document):
    """How far an app has read a feed. `is_lost`: changes that it has not read are gone."""

    app: str
    provider: str
    resource: str
    cursor: int
    behind: int
    read_at: Moment
    is_lost: bool


class FeedConsumers(Document):
    """Apps that read changes, by dataset, the one that is most behind first."""

    consumers: list[FeedConsumerDocument]


SourcedId = Annotated[
    str, Field(max_length=255, description="An id at the provider: in bodies, as no log keeps it.")
]


class BrowseOrder(OrderDocument):
    """Which records to list, in order of their ids. `start` is the id of the first, or near it."""

    start: SourcedId = ""
    include_deleted: bool = False
    limit: Annotated[int, Field(ge=1, le=1000)] = 50


class RecordOrder(OrderDocument):
    """Which record."""

    sourced_id: SourcedId


class OpenRecordsOrder(OrderDocument):
    """Which records to open, and why."""

    ids: Annotated[list[SourcedId], Field(min_length=1, max_length=100)]
    purpose: Annotated[str | None, Field(max_length=500)] = None
    request_id: Annotated[str | None, Field(max_length=100)] = None


class RecordInfoDocument(Document):
    """What is known of a record without its data; `fingerprint` changes with the data."""

    sourced_id: str
    fingerprint: str | None
    first_seen: Moment
    last_seen: Moment
    changed_at: Moment
    deleted_at: Moment | None


class RecordPageDocument(Document):
    """Records by id; `next` is where the following ones start."""

    records: list[RecordInfoDocument]
    next: str | None


class RecordHistoryDocument(Document):
    """A record with its newest updates and deletions."""

    record: RecordInfoDocument
    changes: list[FeedChangeDocument]


class OpenedRecord(Document):
    """A record."""

    sourced_id: str
    first_seen: Moment
    last_seen: Moment
    changed_at: Moment
    deleted_at: Moment | None
    data: Json


class OpenedRecords(Document):
    """Records with their data."""

    records: list[OpenedRecord]
