"""One running district: its data, its knobs, its quota, its tokens and what it has seen."""

import time
from array import array
from collections import Counter, deque
from typing import Any

from sisgate.domain.rates import Rate
from sisgate.sandbox.faults import FaultQueue
from sisgate.sandbox.knobs import Knobs
from sisgate.sandbox.population.churn import Churned, Churner, ChurnRequest
from sisgate.sandbox.population.roster import Roster
from sisgate.sandbox.spec import DistrictSpec
from sisgate.sandbox.tokens import TokenBook


class SlidingWindow:
    """At most `rate.calls` admitted arrivals in any half-open window of `rate.period_seconds`.

    An arrival at `t` is refused when the `rate.calls` latest counted ones all lie in
    `(t - period, t]`. Refused arrivals are counted to the window only with `count_refused`.
    A rate of None admits everything. Times are monotonic seconds and must not go back.

    >>> window = SlidingWindow(Rate(2, 10.0))
    >>> [window.arrive(t) for t in (0.0, 1.0, 9.9, 10.0)]
    [0.0, 0.0, 0.1, 0.0]
    """

    def __init__(self, rate: Rate | None, *, count_refused: bool = False) -> None:
        self.rate = rate
        self.count_refused = count_refused
        self._counted: deque[float] = deque()
        self._arrived: deque[float] = deque()
        self.arrivals = 0
        self.refused = 0
        self.max_in_window = 0

    def arrive(self, now: float) -> float:
        """Count one arrival. Return 0 if admitted, else the seconds until one would be."""
        self.arrivals += 1
        rate = self.rate
        if rate is None:
            return 0.0
        self._forget(now - rate.period_seconds)
        self._arrived.append(now)
        self.max_in_window = max(self.max_in_window, len(self._arrived))
        if len(self._counted) < rate.calls:
            self._counted.append(now)
            return 0.0
        self.refused += 1
        wait = self._counted[-rate.calls] + rate.period_seconds - now
        if self.count_refused:
            self._counted.append(now)
            wait = rate.period_seconds
        # Rounding hides float noise, but a refusal never says "now".
        return max(round(wait, 6), 0.000_001)

    def in_window(self, now: float) -> int:
        """Return how many counted arrivals lie in the window that ends now."""
        if self.rate is not None:
            self._forget(now - self.rate.period_seconds)
        return len(self._counted)

    def left(self, now: float) -> int | None:
        """Return how many calls would be admitted now; None without a quota."""
        return None if self.rate is None else max(0, self.rate.calls - self.in_window(now))

    def _forget(self, until: float) -> None:
        for times in (self._counted, self._arrived):
            while times and times[0] <= until:
                times.popleft()


POWERSCHOOL_TOKEN_SECONDS = 2_592_000


class Statistics:
    """What reached the district. Times are of the machine's monotonic clock, in seconds."""

    def __init__(self) -> None:
        self.arrivals: array[float] = array("d")
        self.refused: array[float] = array("d")
        self.calls: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.token_calls = 0
        self.in_flight = 0
        self.max_in_flight = 0
        self.pages = 0


class District:
    """The state behind one port. Everything but the tokens goes back with `reset`."""

    def __init__(self, spec: DistrictSpec) -> None:
        self.spec = spec
        self.url = f"http://{spec.host}:{spec.port}"
        self.roster = Roster(spec.students, spec.seed)
        self.churner = Churner(self.roster)
        self.tokens = TokenBook(spec.accepted, time.monotonic)
        self.first_knobs = self._first_knobs()
        self._start()

    def _first_knobs(self) -> Knobs:
        settled: dict[str, Any] = {"quota": self.spec.rate}
        if self.spec.kind == "powerschool":
            settled["token_lifetime_seconds"] = POWERSCHOOL_TOKEN_SECONDS
        return Knobs().patched({**settled, **self.spec.knobs})

    def _start(self) -> None:
        self.knobs = self.first_knobs
        self.stats = Statistics()
        self.faults = FaultQueue(self.spec.seed)
        self.token_faults = FaultQueue(self.spec.seed)
        self.faults.load(self.knobs.fail_next)
        self.token_faults.load(self.knobs.fail_tokens)
        self.window = SlidingWindow(self.knobs.quota, count_refused=self.knobs.count_refused)
        self.last_call_at: float | None = None

    @property
    def page_cap(self) -> int:
        """The most rows of a page."""
        return self.knobs.page_cap or (100 if self.spec.kind == "powerschool" else 1000)

    def reset(self) -> None:
        """Go back to the start: data, knobs, quota, faults and statistics."""
        self.churner.restore()
        self._start()

    def turn(self, changes: dict[str, Any]) -> None:
        """Change knobs. pydantic's `ValidationError` or `ValueError` when one is wrong."""
        before, after = self.knobs, self.knobs.patched(changes)
        self.knobs = after
        if "fail_next" in changes:
            self.faults.load(after.fail_next)
        if "fail_tokens" in changes:
            self.token_faults.load(after.fail_tokens)
        if after.quota != before.quota:
            self.window = SlidingWindow(after.quota)
        self.window.count_refused = after.count_refused

    def churn(self, request: ChurnRequest) -> Churned:
        """Change data. `ValueError` when the resource cannot change like that."""
        return self.churner.apply(request)

    def page_served(self, resource: str) -> None:
        """Note a page of a list; every `churn_every`-th shifts the list that was read."""
        self.stats.pages += 1
        every = self.knobs.churn_every
        if every and self.stats.pages % every == 0:
            self.churn(ChurnRequest(resource=_churnable(resource), insert=1, delete=1))

    def window_of_list(self, first: int, size: int, total: int) -> tuple[int, int, int]:
        """Return first row, rows and total as `list_mode` bends them."""
        mode = self.knobs.list_mode
        if mode == "empty":
            return 0, 0, 0
        if mode == "loop":
            return 0, size, total
        if mode == "shrink":
            half = total // 2
            return first, max(0, min(size, half - first)), half
        if mode == "duplicate" and first > 0:
            return first - 1, size, total
        return first, size, total

    def report(self, *, arrivals: bool) -> dict[str, Any]:
        """Return the statistics, JSON-ready."""
        stats, window, now = self.stats, self.window, time.monotonic()
        report: dict[str, Any] = {
            "now": now,
            "arrivals": len(stats.arrivals),
            "calls": dict(stats.calls),
            "statuses": dict(stats.statuses),
            "throttled": stats.statuses["429"],
            "violations": len(stats.refused),
            "max_in_window": window.max_in_window,
            "in_window": window.in_window(now),
            "quota": None if window.rate is None else str(window.rate),
            "quota_left": window.left(now),
            "token_calls": stats.token_calls,
            "tokens_issued": self.tokens.issued,
            "in_flight": stats.in_flight,
            "max_in_flight": stats.max_in_flight,
            "pages": stats.pages,
            "faults_waiting": len(self.faults),
            "churns": self.churner.count,
        }
        if arrivals:
            report["arrival_times"] = list(stats.arrivals)
            report["violation_times"] = list(stats.refused)
        return report


def _churnable(resource: str) -> Any:
    resources = {"classes": "classes", "section": "classes", "sections": "classes",
             "enrollments": "enrollments", "section_enrollment": "enrollments",
             "teachers": "teachers", "staff": "teachers"}  # fmt: skip
    return resources.get(resource, "students")
