"""Facts of what goes on until a person looks at it: held, failed and unsettled work. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HeldSync:
    """A sync whose deletions wait for approval, and for how long."""

    job: str
    resource: str
    note: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class FailedSync:
    """The newest sync of a dataset, if it failed and no other try helps; as `MetError`."""

    job: str
    resource: str
    code: str
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Unsettled:
    """Jobs of unknown outcome that nobody has settled; `job` is the oldest one."""

    jobs: int
    job: str
    seconds: float


@dataclass(frozen=True, slots=True)
class FailingReceiver:
    """A webhook that is not delivered, and why; `state` is that of the webhook."""

    id: str
    app: str
    place: str
    state: str
    why: str
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class RefusedCaller:
    """A caller whom the HTTP service refused lately, because it asked too often."""

    name: str
    times: int
    limit: str


@dataclass(frozen=True, slots=True)
class FeedReader:
    """An app that follows a feed, how many changes it has not read, and when it last asked.

    `is_lost`: some of them are gone.
    """

    app: str
    behind: int
    seconds: float
    is_lost: bool = False
