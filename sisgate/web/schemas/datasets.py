"""Datasets, without their records."""

from __future__ import annotations

from sisgate.web.schemas.document import Document, Moment, OrderDocument
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
