"""Bulk enqueuing: one transaction and one round trip to Redis, all or nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from sisgate.errors import (
    BacklogFull,
    DatabaseUnavailable,
    IdempotencyConflict,
    SisgateError,
    UnknownProvider,
    UsageError,
)
from sisgate.gateway.acceptance import Acceptance, Order, at_item, without_index
from sisgate.gateway.core import Core
from sisgate.gateway.job_handle import Job
from sisgate.gateway.jobs import Jobs
from sisgate.gateway.orders import NewRequest, NewSync
from sisgate.gateway.requests import Requests
from sisgate.gateway.syncs import Syncs

MOST_AT_ONCE = 10_000
"""The most items at once: their transaction blocks other writers of SQLite."""

CHUNK = 500
"""Items of one transaction where each may be refused by itself: then the rest is tried again."""

Progress = Callable[[int, int], None]
"""Called with how many items have been accepted or refused, and how many there are."""


class Bulk:
    """Implements `Gateway.enqueue`."""

    def __init__(
        self, core: Core, acceptance: Acceptance, jobs: Jobs, syncs: Syncs, requests: Requests
    ) -> None:
        self._core = core
        self._acceptance = acceptance
        self._jobs = jobs
        self._syncs = syncs
        self._requests = requests

    def enqueue(self, items: Sequence[NewSync | NewRequest]) -> list[Job]:
        """Accept all items and return their jobs in order, or raise with the `index` of one."""
        if not isinstance(items, Sequence):
            raise UsageError(
                f"enqueue takes a list of NewSync and NewRequest, not a {type(items).__name__}."
            )
        if len(items) > MOST_AT_ONCE:
            raise UsageError(
                f"{len(items):,} items are too many. Enqueue at most {MOST_AT_ONCE:,} at once."
            )
        orders: list[Order] = []
        try:
            orders.extend(self._order(item) for item in items)
        except SisgateError as error:
            raise at_item(error, len(orders)) from None
        if not orders:
            return []
        accepted = self._acceptance.accept_all(orders, by=self._core.asker())
        return [Job(self._jobs, job_id, is_new=is_new) for job_id, is_new in accepted]

    def enqueue_each(
        self,
        items: Sequence[NewSync],
        progress: Progress = lambda *_: None,
        *,
        due_at: Mapping[int, datetime] = MappingProxyType({}),
        schedule: str | None = None,
    ) -> list[Job | SisgateError]:
        """Accept what can be accepted; return for each item its job, or why it was refused.

        They are the jobs of a `schedule` if that is given; `due_at` says of items, by their place,
        when it asks for them. An outage of the ledger refuses the rest.
        """
        results: dict[int, Job | SisgateError] = {}
        orders: dict[int, Order] = {}
        for place, item in enumerate(items):
            try:
                order = self._order(item, schedule)
                if (due := due_at.get(place)) is not None:
                    order = replace(order, new=replace(order.new, due_at=due))
                orders[place] = order
            except SisgateError as error:
                results[place] = error
        places = list(orders)
        for start in range(0, len(places), CHUNK):
            chunk = places[start : start + CHUNK]
            try:
                results |= self._accept_each(items, orders, chunk)
            except DatabaseUnavailable as error:
                results |= dict.fromkeys(places[start:], error)
                break
            progress(len(results), len(items))
        return [results[place] for place in range(len(items))]

    def _accept_each(
        self, items: Sequence[NewSync], orders: Mapping[int, Order], chunk: Sequence[int]
    ) -> dict[int, Job | SisgateError]:
        """Accept a chunk in one transaction, without those items that make it fail."""
        refused: dict[int, Job | SisgateError] = {}
        while chunk:
            try:
                accepted = self._acceptance.accept_all(
                    [orders[place] for place in chunk], by=self._core.asker()
                )
            except (BacklogFull, IdempotencyConflict, UnknownProvider) as error:
                first = chunk[error.detail["index"]]
                without_index(error)
                # Beyond a provider's backlog, or for one just removed, is not only the first item.
                is_of_provider = not isinstance(error, IdempotencyConflict)
                refused |= {
                    place: error
                    for place in chunk
                    if place == first
                    or (
                        is_of_provider
                        and place > first
                        and items[place].provider == items[first].provider
                    )
                }
                chunk = [place for place in chunk if place not in refused]
            else:
                jobs = [Job(self._jobs, job_id, is_new=is_new) for job_id, is_new in accepted]
                return {**refused, **dict(zip(chunk, jobs, strict=True))}
        return refused

    def _order(self, item: NewSync | NewRequest, schedule: str | None = None) -> Order:
        if not isinstance(item, NewSync | NewRequest):
            raise UsageError(
                f"enqueue takes NewSync and NewRequest, not a {type(item).__name__}; "
                'NewSync("powerschool", "students") is one.'
            )
        if item.on_unavailable != "wait":
            raise UsageError("on_unavailable works for single jobs only: bulk items always wait.")
        if item.job_id is not None:
            raise UsageError("job_id works for single jobs only: use an idempotency_key.")
        if isinstance(item, NewRequest):
            if item.max_age is not None:
                raise UsageError("max_age works for single requests only.")
            return self._requests.order(self._requests.wanted(item))
        return Order(self._syncs.new_job(item, schedule))
