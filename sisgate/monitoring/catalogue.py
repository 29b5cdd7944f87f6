"""Every metric: its name, kind, labels and meaning. docs/reference/monitoring.md shows them.

Labels come from configuration and enums, never from jobs or people. Counters are sums that the
ledger keeps, so they never fall, whatever was killed or emptied.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["gauge", "counter", "histogram"]


@dataclass(frozen=True)
class Metric:
    """One metric. A counter's samples are called `NAME_total`, as OpenMetrics wants it."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    text: str
    """What it tells, a sentence or two."""
    bounds: tuple[float, ...] = ()
    """Of a histogram the upper bounds of its buckets, in seconds; see `LatencySketch.up_to`."""

    @property
    def samples(self) -> tuple[str, ...]:
        """The names of its samples, by which queries find them."""
        if self.kind == "histogram":
            return tuple(f"{self.name}_{part}" for part in ("bucket", "count", "sum"))
        return (f"{self.name}_total",) if self.kind == "counter" else (self.name,)


COARSE = tuple(2.0**power / 1000 for power in range(0, 24, 2))
"""From a millisecond to more than an hour, each four times the one before."""

FINE = tuple(2.0**power / 1000 for power in range(2, 18))
"""From four milliseconds to two minutes, each twice the one before."""

SLOW = tuple(2.0**power / 1000 for power in range(10, 28, 2))
"""From a second to more than eighteen hours, each four times the one before."""

_METRICS: list[Metric] = []


def _metric(
    kind: Kind, name: str, labels: str, text: str, bounds: tuple[float, ...] = ()
) -> Metric:
    metric = Metric(f"sisgate_{name}", kind, tuple(labels.split()), text, bounds)
    _METRICS.append(metric)
    return metric


def _gauge(name: str, labels: str, text: str) -> Metric:
    return _metric("gauge", name, labels, text)


def _counter(name: str, labels: str, text: str) -> Metric:
    return _metric("counter", name, labels, text)


def _latency(name: str, labels: str, text: str, bounds: tuple[float, ...] = COARSE) -> Metric:
    return _metric("histogram", name, labels, text, bounds)


# What became of calls
CALLS = _counter(
    "calls",
    "provider endpoint result priority",
    "Calls by what became of them: one for each attempt that a worker claimed.",
)
ROWS = _counter("rows", "provider", "Rows that came with calls.")
CALL_SECONDS = _latency("call_seconds", "provider", "The HTTP request of a call.", FINE)
QUEUE_SECONDS = _latency(
    "call_queue_seconds",
    "provider priority",
    "From the publishing of a call to its claim by a worker, the wait for a permit included.",
)
PERMIT_SECONDS = _latency(
    "call_permit_seconds", "provider", "How long the next call of a queue waited for a permit."
)
LEDGER_SECONDS = _latency(
    "ledger_seconds",
    "transaction",
    "The transactions of every call: `acceptance` of jobs, `claim` and `record` of calls. Of "
    "`acceptance` and `record` the last one of each process is not told.",
)
PERMITS_GRANTED = _counter("permits_granted", "provider", "Calls that came with a permit.")
PERMITS_DENIED = _counter(
    "permits_denied", "provider", "Of these, those for which there was no permit at first."
)
COUNTED_AGE = _gauge(
    "counted_age_seconds", "", "How long ago the last calls were counted into these numbers."
)

# Endpoints
BREAKER_STATE = _gauge(
    "breaker_state",
    "provider endpoint state",
    "1 for the state of the breaker: closed, open or half-open.",
)
BREAKER_PINNED = _gauge("breaker_pinned", "provider endpoint", "Whether it is set by hand.")
BREAKER_TRANSITIONS = _counter(
    "breaker_transitions",
    "provider endpoint state reason",
    "Transitions by new state. Counted in Redis: 0 again once it is emptied.",
)
ENDPOINT_EJECTED = _gauge(
    "endpoint_ejected", "provider endpoint", "Whether it is ejected as an outlier or unwell."
)
ENDPOINT_UNWELL = _gauge(
    "endpoint_unwell", "provider endpoint", "Whether it fails its health checks."
)

# Limits
LIMIT_CALLS = _gauge("limit_calls", "provider window", "Calls of the limit.")
LIMIT_USED = _gauge("limit_used", "provider window", "Calls used of the limit.")
LIMIT_LEFT = _gauge("limit_left", "provider window", "Calls left of the limit.")
LIMIT_FACTOR = _gauge("limit_factor", "provider", "Adaptive factor of the pace, 1 for none.")
LIMIT_BLOCKED = _gauge(
    "limit_blocked_seconds", "provider", "How much longer the provider asked us to wait."
)
PAUSED = _gauge("provider_paused", "provider", "Whether it is paused by hand.")
IN_FLIGHT = _gauge("calls_in_flight", "provider", "Calls in flight.")

# Work
QUEUE_MESSAGES = _gauge("queue_messages", "provider priority", "Messages waiting in the queue.")
OLDEST_WAITING = _gauge(
    "oldest_waiting_seconds",
    "provider priority",
    "How long the call waits that was published first; absent if none waits.",
)
QUEUE_HELD = _gauge("queue_held", "provider", "Whether no endpoint may be called.")
JOBS = _gauge("jobs", "provider state", "Jobs in the ledger by state.")
DEAD_LETTERS = _gauge("dead_letters", "provider", "Jobs given up for good, and not repeated.")
SHARED = _gauge(
    "requests_shared",
    "provider",
    "Requests that the call of an identical one, or its stored response, answered; of jobs that "
    "are in the ledger.",
)
SCHEDULE_DELAY = _latency(
    "schedule_delay_seconds",
    "provider step",
    "How long after its time a scheduled sync was `accepted`, and its first call `begun`.",
    SLOW,
)
DATASET_AGE = _gauge(
    "dataset_age_seconds", "provider resource", "How long ago the dataset was last read."
)
CHANGES = _counter("changes", "provider resource", "Changes of records, numbered in the feed.")

# Keys
KEYS = _gauge("keys", "provider state", "Keys by state; those that have ended are left out.")
KEY_EXPIRY = _gauge(
    "key_expiry_days", "provider slot", "Days until an active key expires; absent if it does not."
)

# Fleet
WORKERS = _gauge("workers", "provider", "Workers alive that serve it.")
ALIVE = _gauge("alive", "kind", "Processes alive: worker, planner, beat.")
OBSTACLE = _gauge(
    "obstacle",
    "provider cause",
    "1 for each obstacle; the provider is empty where it concerns all.",
)
RECONCILE_AGE = _gauge("reconcile_age_seconds", "", "Time since the last reconcile.")
CLOCK_OFFSET = _gauge(
    "clock_offset_seconds", "host", "How far the host's clock is ahead of Redis's."
)
QUARANTINED = _gauge("quarantine_messages", "", "Messages in quarantine.")
SEAL_AGE = _gauge(
    "audit_seal_age_seconds", "", "How old the head of the audit log is, its newest seal."
)
HEAD_FAILING = _gauge(
    "audit_head_failing", "host", "Whether the host could not keep the last head of the audit log."
)
WEBHOOKS = _gauge("webhooks", "state", "Webhooks by state.")
WEBHOOK_SECONDS = _latency(
    "webhook_delivery_seconds",
    "result",
    "Attempts to deliver messages of webhooks by what came of them, and how long each took.",
    FINE,
)
WEBHOOK_MESSAGES = _gauge("webhook_messages", "", "Messages of webhooks that are yet to be sent.")
ALERTS = _gauge("alerts", "rule state severity", "Alerts that have not ended.")
ALERT_MESSAGES = _gauge(
    "alert_messages", "channel", "Messages of alerts that are yet to be sent to the channel."
)

CATALOGUE = tuple(_METRICS)
