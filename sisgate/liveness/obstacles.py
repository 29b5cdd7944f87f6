"""What an obstacle of jobs is, and its words on all screens. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sisgate.domain.figures import duration
from sisgate.domain.sentences import as_sentence


class Cause(StrEnum):
    """What is wrong, for programs."""

    REDIS_UNREACHABLE = "redis_unreachable"
    REDIS_REFUSES_WRITES = "redis_refuses_writes"
    REDIS_SLOW = "redis_slow"
    LEDGER_UNREACHABLE = "ledger_unreachable"
    SCHEMA_BEHIND = "schema_behind"
    PLANNER_MISSING = "planner_missing"
    BEAT_MISSING = "beat_missing"
    LEDGER_UNUSABLE = "ledger_unusable"
    RECONCILE_OVERDUE = "reconcile_overdue"
    WORKER_MISSING = "worker_missing"
    PROVIDER_MISSING = "provider_missing"
    NOT_SET_UP = "not_set_up"
    KEY_MISSING = "key_missing"
    MASTER_KEY_MISSING = "master_key_missing"
    WORKER_REFUSED = "worker_refused"
    SLOTS_FULL = "slots_full"
    CLOCKS_DIFFER = "clocks_differ"
    VERSIONS_DIFFER = "versions_differ"
    CONFIGURATION_LAGS = "configuration_lags"
    CONFIGURATION_NOT_UNDERSTOOD = "configuration_not_understood"
    CONFIGURATION_UNVERSIONED = "configuration_unversioned"
    CONFIGURATION_FILES_DIFFER = "configuration_files_differ"
    ACCESS_DIFFERS = "access_differs"


PERIODIC_CAUSES = frozenset({Cause.PLANNER_MISSING, Cause.BEAT_MISSING})
"""Causes that keep periodic tasks from being run. Jobs go on."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One thing that is wrong. `message` has no full stop; `remedy` is whole sentences.

    `provider` is None for what concerns all. An obstacle that `stops` jobs blocks them until it is
    gone; any other is a warning, unless it `harms`: jobs go on, but not as they should.
    """

    cause: Cause
    message: str
    remedy: str
    provider: str | None = None
    stops: bool = True
    harms: bool = False

    def __str__(self) -> str:
        """Return the message and the remedy as sentences."""
        return f"{as_sentence(self.message, self.provider)} {self.remedy}"


def sentences(obstacles: Iterable[Obstacle]) -> str:
    """Return each message with its remedy, as sentences.

    >>> sentences([Obstacle(Cause.BEAT_MISSING, "beat is not running", "Start it.")])
    'Beat is not running. Start it.'
    """
    return " ".join(map(str, obstacles))


def redis_unreachable(*, is_embedded: bool) -> Obstacle:
    """Return the obstacle of a Redis that does not answer: nothing is known of the fleet."""
    remedy = "Check SISGATE_BROKER_URL, and that Redis is running and reachable from here."
    if is_embedded:
        remedy = (
            "Start `sisgate up`, or restart it if it runs. Until then work is accepted and waits "
            "in the ledger."
        )
    return Obstacle(Cause.REDIS_UNREACHABLE, "Redis cannot be reached", remedy)


def redis_refuses_writes(why: str) -> Obstacle:
    """Return the obstacle of a Redis that refuses writes."""
    return Obstacle(
        Cause.REDIS_REFUSES_WRITES,
        f"Redis refuses writes: {why}",
        "Nothing is published or admitted until it accepts writes again. Give it more memory or "
        "disk space (under `sisgate up`, where its data folder is), or point SISGATE_BROKER_URL at "
        "the primary.",
    )


def redis_slow(seconds: float) -> Obstacle:
    """Return the obstacle of a Redis that answers, but late."""
    return Obstacle(
        Cause.REDIS_SLOW,
        f"Redis is slow: a round trip takes {duration(seconds)}",
        "Each call takes several. Look at its host (memory, swap, processor), at SLOWLOG GET for "
        "commands that hold it up, and at the network between.",
        stops=False,
        harms=True,
    )


def ledger_unreachable(remedy: str) -> Obstacle:
    """Return the obstacle of a database that does not answer."""
    return Obstacle(Cause.LEDGER_UNREACHABLE, "the ledger cannot be reached", remedy)


def ledger_unusable(since: str, why: str) -> Obstacle:
    """Return the obstacle of a database that workers cannot use; `since` says for how long."""
    return Obstacle(
        Cause.LEDGER_UNUSABLE,
        f"no worker could use the ledger {since}{why}",
        "Look at the database: its disk, its locks and who holds them, whether it is the primary, "
        "and whether the workers' hosts reach it. No call is made until then.",
    )


def schema_behind(version: str | None, newest: str) -> Obstacle:
    """Return the obstacle of a database whose schema is older than the code's."""
    return Obstacle(
        Cause.SCHEMA_BEHIND,
        f"the ledger is at version {version or 'none'}, and the code needs {newest}",
        "Run `sisgate db upgrade`, then restart workers and beat.",
    )


def provider_missing(provider: str) -> Obstacle:
    """Return the obstacle of a provider that has work but is not, or no longer, configured."""
    return Obstacle(
        Cause.PROVIDER_MISSING,
        f"{provider} is not in the configuration",
        f"Restore [providers.{provider}], also where workers and beat read it, and its work "
        "resumes; or cancel its jobs: `sisgate jobs cancel JOB`.",
        provider,
    )


def listed(names: Sequence[str], most: int = 4) -> str:
    """Return names as a list in words.

    >>> listed(["a", "b", "c"]), listed(["a", "b", "c", "d", "e", "f"])
    ('a, b and c', 'a, b, c, d and 2 more')
    """
    shown = list(names[:most])
    last = f"{len(names) - most:,} more" if len(names) > most else shown.pop()
    return f"{', '.join(shown)} and {last}" if shown else last
