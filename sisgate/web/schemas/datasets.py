"""Datasets, without their records."""

from typing import Annotated

from pydantic import Field

from sisgate.gateway import AbsentDataset, DatasetStatus, FeedConsumer
from sisgate.web.schemas.document import Document, Json, Moment, OrderDocument


class CountDocument(Document):
    """How many records are not deleted."""

    provider: str
    resource: str
    records: int


class CursorDocument(Document):
    """The number of the newest change."""

    cursor: int


class DatasetsDocument(Document):
    """The datasets that a sync of the whole roster reads, in order, and those it leaves out."""

    roster: list[str]
    absent: list[AbsentDataset]


class RestartedDocument(Document):
    """The datasets whose cursors are too old now, as PROVIDER/RESOURCE."""

    datasets: list[str]


class SyncedDatasets(Document):
    """Datasets that were synced."""

    datasets: list[DatasetStatus]


class FeedConsumers(Document):
    """Apps that read changes, by dataset, the one that is most behind first."""

    consumers: list[FeedConsumer]


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
