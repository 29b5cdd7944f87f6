"""The tables of datasets: their records, what changed in them, and what a sync notes of them."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from sisgate.ledger.schema.base import Base, BigId, OpaqueJson, partial_index


class Dataset(Base):
    """One resource of one provider. Its row is the lock under which changes are numbered.

    `high_water` is the newest time that a live record told, and `newest_id` that record.
    """

    __tablename__ = "datasets"

    provider: Mapped[str] = mapped_column(String(63), primary_key=True)
    resource: Mapped[str] = mapped_column(String(40), primary_key=True)
    last_sequence: Mapped[int] = mapped_column(BigId, default=0)
    change_horizon: Mapped[int] = mapped_column(BigId, default=0, server_default="0")
    generation: Mapped[int] = mapped_column(default=0)
    high_water: Mapped[datetime | None]
    newest_id: Mapped[str | None] = mapped_column(String(255))
    filter_works: Mapped[bool | None]
    full_synced_at: Mapped[datetime | None]
    synced_at: Mapped[datetime | None]


class Sighting(Base):
    """Live records of a dataset that were last seen together, so that one row notes it for all.

    `size` is how many they are. `revision` goes up when one of them changes, leaves or joins. No id
    is ever given again, because known pages may name sightings that are gone.
    """

    __tablename__ = "sightings"
    __table_args__ = (Index(None, "provider", "resource"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    provider: Mapped[str] = mapped_column(String(63))
    resource: Mapped[str] = mapped_column(String(40))
    generation: Mapped[int]
    seen_at: Mapped[datetime]
    size: Mapped[int]
    revision: Mapped[int] = mapped_column(default=0)


class Record(Base):
    """One entity in canonical OneRoster 1.2 shape, and as the provider sent it.

    By which generation and when it was last seen is told by its sighting. `generation` and
    `last_seen` count where it has none: it is deleted, or was stored before there were sightings,
    or did not come with those it had been seen with.
    """

    __tablename__ = "records"
    __table_args__ = (
        Index(None, "sighting_id"),
        # Of the deleted ones only: writing a page costs nothing more.
        Index(
            None,
            "deleted_at",
            sqlite_where=text("deleted_at IS NOT NULL"),
            postgresql_where=text("deleted_at IS NOT NULL"),
        ),
    )

    provider: Mapped[str] = mapped_column(String(63), primary_key=True)
    resource: Mapped[str] = mapped_column(String(40), primary_key=True)
    sourced_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    data: Mapped[dict[str, Any]]
    original: Mapped[dict[str, Any]] = mapped_column(OpaqueJson)
    content_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    generation: Mapped[int] = mapped_column(default=0)
    first_seen: Mapped[datetime]
    last_seen: Mapped[datetime]
    changed_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
    sighting_id: Mapped[int | None] = mapped_column(BigInteger)


class KnownPage(Base):
    """A page of a full read as it last came: a digest of the response, and where its records are.

    `sightings` are pairs of id and revision: all records of the page, and no others. While they are
    as noted, the same response says nothing new. `facts` are what a sync needs of the page
    besides its records.
    """

    __tablename__ = "known_pages"

    provider: Mapped[str] = mapped_column(String(63), primary_key=True)
    resource: Mapped[str] = mapped_column(String(40), primary_key=True)
    place: Mapped[str] = mapped_column(String(64), primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    generation: Mapped[int]
    sightings: Mapped[list[Any]]
    facts: Mapped[dict[str, Any]]


class Variant(Base):
    """One of several rows that a provider gives under one id in the same list.

    `orgs` are the ids of the orgs of a person's roles. `merged`: the record has the roles of all
    its rows; otherwise the row that came last when the rows were first seen.
    """

    __tablename__ = "variants"
    __table_args__ = (
        ForeignKeyConstraint(
            ["provider", "resource", "sourced_id"],
            ["records.provider", "records.resource", "records.sourced_id"],
            ondelete="CASCADE",
        ),
    )

    provider: Mapped[str] = mapped_column(String(63), primary_key=True)
    resource: Mapped[str] = mapped_column(String(40), primary_key=True)
    sourced_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    content_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    generation: Mapped[int]
    orgs: Mapped[list[Any]]
    merged: Mapped[bool]


class MarkedDeletion(Base):
    """A live record that a sync was told is gone; its end decides on it, or who approves it."""

    __tablename__ = "marked_deletions"

    job_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    sourced_id: Mapped[str] = mapped_column(String(255), primary_key=True)


class FeedPosition(Base):
    """How far an app has read the changes of a dataset, and when it last asked for more."""

    __tablename__ = "feed_positions"

    provider: Mapped[str] = mapped_column(String(63), primary_key=True)
    resource: Mapped[str] = mapped_column(String(40), primary_key=True)
    app: Mapped[str] = mapped_column(String(100), primary_key=True)
    cursor: Mapped[int] = mapped_column(BigInteger)
    read_at: Mapped[datetime]


class Change(Base):
    """One insert, update or delete of a record. Holds no student data: the record does."""

    __tablename__ = "changes"
    __table_args__ = (
        # Most changes are the inserts of a first sync, which the index leaves out: a record knows
        # when it was first seen.
        partial_index("provider", "resource", "sourced_id", where="operation != 'insert'"),
    )

    provider: Mapped[str] = mapped_column(String(63), primary_key=True)
    resource: Mapped[str] = mapped_column(String(40), primary_key=True)
    sequence: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    operation: Mapped[str] = mapped_column(String(6))
    sourced_id: Mapped[str] = mapped_column(String(255))
    job_id: Mapped[str] = mapped_column(String(36))
    changed_at: Mapped[datetime]
