"""Many syncs and requests at once: one transaction and one round trip to Redis, all or nothing."""

from __future__ import annotations

from collections.abc import Sequence

from sisgate.errors import SisgateError, UsageError
from sisgate.gateway.acceptance import Acceptance, Order, at_item
from sisgate.gateway.core import Core
from sisgate.gateway.jobs import Job, Jobs
from sisgate.gateway.orders import NewRequest, NewSync
from sisgate.gateway.requests import Requests
from sisgate.gateway.syncs import Syncs

MOST_AT_ONCE = 10_000
"""How many may be enqueued at once: their transaction keeps other writers of SQLite waiting."""


class Bulk:
    """What `Gateway.enqueue` does."""

    def __init__(
        self, core: Core, acceptance: Acceptance, jobs: Jobs, syncs: Syncs, requests: Requests
    ) -> None:
        self._core = core
        self._acceptance = acceptance
        self._jobs = jobs
        self._syncs = syncs
        self._requests = requests

    def enqueue(self, items: Sequence[NewSync | NewRequest]) -> list[Job]:
        """Accept all and return their jobs in order, or raise with the `index` of the bad item."""
        if len(items) > MOST_AT_ONCE:
            raise UsageError(
                f"{len(items):,} are too many at once. Enqueue at most {MOST_AT_ONCE:,} at a time."
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

    def _order(self, item: NewSync | NewRequest) -> Order:
        if item.on_unavailable != "wait":
            raise UsageError("on_unavailable is for one job at a time: many always wait.")
        if isinstance(item, NewRequest):
            return self._requests.order(self._requests.wanted(item))
        if item.job_id is not None:
            raise UsageError("job_id is for one sync at a time; use an idempotency_key.")
        return Order(self._syncs.new_job(item))
