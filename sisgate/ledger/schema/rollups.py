"""The tables of what became of calls and how long things took, and of when breakers changed."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from sisgate.domain.periods import Period
from sisgate.ledger.schema.base import Base, one_of


class Rollup(Base):
    """The calls of one kind that ended within one period, which begins at `begin`.

    `result` is what became of them (`sisgate.domain.call_results`), `endpoint` is empty if none was
    chosen, `resource` if they were requests of an app. The latencies are encoded sketches, None if
    no call has told any.
    """

    __tablename__ = "rollups"
    __table_args__ = (
        CheckConstraint(one_of("period", Period), name="period"),
        Index(None, "period", "begin"),
        {"sqlite_with_rowid": False},
    )

    period: Mapped[str] = mapped_column(String(6), primary_key=True)
    provider: Mapped[str] = mapped_column(String(63), primary_key=True)
    begin: Mapped[datetime] = mapped_column(primary_key=True)
    endpoint: Mapped[str] = mapped_column(String(300), primary_key=True)
    result: Mapped[str] = mapped_column(String(20), primary_key=True)
    priority: Mapped[int] = mapped_column(primary_key=True)
    resource: Mapped[str] = mapped_column(String(40), primary_key=True)
    calls: Mapped[int] = mapped_column(BigInteger)
    rows: Mapped[int] = mapped_column(BigInteger)
    queue: Mapped[bytes | None] = mapped_column(LargeBinary)
    permit: Mapped[bytes | None] = mapped_column(LargeBinary)
    ledger: Mapped[bytes | None] = mapped_column(LargeBinary)
    latency: Mapped[bytes | None] = mapped_column(LargeBinary)


class TimingSketch(Base):
    """How long something has taken since the first time, as an encoded sketch.

    `name` is one of `sisgate.domain.timings.Timed`, `label` what else its metric tells apart.
    """

    __tablename__ = "timings"

    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    label: Mapped[str] = mapped_column(String(63), primary_key=True)
    sketch: Mapped[bytes] = mapped_column(LargeBinary)


class BreakerChange(Base):
    """The breaker of an endpoint is in another state, from `at` on.

    `entry` is the id that its entry had in the journal: ids grow.
    """

    __tablename__ = "breaker_changes"
    __table_args__ = (Index(None, "at"),)

    provider: Mapped[str] = mapped_column(String(63), primary_key=True)
    entry: Mapped[str] = mapped_column(String(50), primary_key=True)
    at: Mapped[datetime]
    endpoint: Mapped[str] = mapped_column(String(300))
    state: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str] = mapped_column(String(20))


class RollupProgress(Base):
    """How far calls are counted: through the seal of the audit log with this number.

    `counted_to` is when that seal was made: what ended before is counted.
    """

    __tablename__ = "rollup_progress"

    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    seal: Mapped[int] = mapped_column(BigInteger)
    counted_to: Mapped[datetime | None]
