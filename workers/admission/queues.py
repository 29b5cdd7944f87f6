"""Which queues a worker serves: all, those that it was given by name, those of pools.

The queues of providers come and go with the configuration. Without `-Q` a worker serves the
planner's and those of all providers, also of those that are added later. `-Q` names queues and
pools: `-Q powerschool`, `-Q pool:north`. `-X` leaves some out, and Celery's `add_consumer` and
`cancel_consumer` change all this while the worker runs.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from celery.app.amqp import Queues
from kombu.entity import Queue

from sisgate.broker import ADMISSION_MARK, provider_queue
from sisgate.redis.queues import PLANNER_QUEUE
from sisgate.settings import ProviderConfig
from sisgate.settings.provider import NAME

POOL = "pool:"
"""Begins the name of a pool, which no provider's name can: it has a colon."""


def is_admitted(queue: Queue) -> bool:
    """Whether a queue's messages are taken by permit."""
    arguments = getattr(queue, "queue_arguments", None)
    return ADMISSION_MARK in (arguments or {})


class ServedQueues(Queues):
    """Celery's queues, of which a worker serves some. Those of providers follow `configure`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._named: frozenset[str] | None = None
        """What `-Q` named; None for all."""
        self._added: set[str] = set()
        self._excluded: set[str] = set()
        self._pools: dict[str, str | None] = {}
        super().__init__(*args, **options)

    def configure(self, providers: Mapping[str, ProviderConfig]) -> None:
        """Have a queue for each provider of the configuration, and none for others."""
        for name in [name for name, queue in self.items() if is_admitted(queue)]:
            if name not in providers:
                del self[name]
        for name in providers:
            if name not in self:
                self.add(provider_queue(name))
            # Admission takes messages off the lists themselves: declaring a queue would cost round
            # trips for each of thousands of providers, in the worker's loop.
            self[name].no_declare = True
        self._pools = {name: config.pool for name, config in providers.items()}

    def select(self, include: Iterable[str] | None) -> None:
        """Serve only these queues and pools; `KeyError` for what can be neither."""
        if include:
            for name in include:
                if name not in self and not _may_be_configured(name):
                    raise KeyError(name)
            self._named = frozenset(include)

    def deselect(self, exclude: Iterable[str] | str | None) -> None:
        """Serve a queue or pool no more."""
        for name in [exclude] if isinstance(exclude, str) else exclude or ():
            self._added.discard(name)
            self._excluded.add(name)

    def select_add(self, queue: Any, **options: Any) -> Queue:
        """Serve a queue that is not a provider's, such as a worker's own."""
        added: Queue = self.add(queue, **options)
        self.include(added.name)
        return added

    def include(self, name: str) -> bool:
        """Serve a queue or pool besides; return False for what is neither known nor a name of ours.

        The queue of a provider is served from the moment the provider is configured.
        """
        if name not in self and not _may_be_configured(name):
            return False
        self._excluded.discard(name)
        self._added.add(name)
        return True

    @property
    def consume_from(self) -> dict[str, Queue]:
        """The queues to serve now, by name."""
        return {name: queue for name, queue in self.items() if self._serves(name)}

    @property
    def serving(self) -> str:
        """What the worker was told to serve, in words.

        `all`, `powerschool, pool:north`, `all but skyward`.
        """
        named = ((self._named or frozenset()) | self._added) - self._excluded
        served = "all" if self._named is None else ", ".join(sorted(named)) or "nothing"
        left_out = sorted(
            name
            for name in self._excluded
            if self._named is None or f"{POOL}{self._pools.get(name)}" in named
        )
        return f"{served} but {', '.join(left_out)}" if left_out else served

    @property
    def unknown(self) -> list[str]:
        """What it was told to serve and is not configured: providers, and pools of none."""
        named = ((self._named or frozenset()) | self._added) - self._excluded
        pools = {f"{POOL}{pool}" for pool in self._pools.values() if pool is not None}
        return sorted(named - set(self) - pools)

    def _serves(self, name: str) -> bool:
        named, pool = self._named or frozenset(), self._pools.get(name)
        if name in self._excluded:
            return False
        if name in named or name in self._added:
            return True
        by_pool = f"{POOL}{pool}" if pool is not None else None
        if by_pool in self._excluded:
            return False
        return self._named is None or by_pool in named or by_pool in self._added


def _may_be_configured(name: str) -> bool:
    provider = name.removeprefix(POOL)
    return name != PLANNER_QUEUE and NAME.fullmatch(provider) is not None
