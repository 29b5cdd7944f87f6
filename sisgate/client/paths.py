"""Names and ids as segments of paths. Pure."""

from collections.abc import Callable
from urllib.parse import quote

from sisgate.domain.validation import chosen
from sisgate.errors import (
    NotFound,
    UnknownAlert,
    UnknownErrorPattern,
    UnknownJob,
    UnknownKey,
    UnknownMessage,
    UnknownProvider,
    UnknownResource,
    UnknownSchedule,
    UnknownToken,
    UnknownWebhook,
)

LONGEST = 100
LONGEST_ALERT_ID = 20
"""Of alerts, silences and patterns of errors."""

_BESIDE_ALERTS = {"silences", "channels"}
"""What else has a path where alerts have theirs."""


def segment(text: str, unknown: type[NotFound]) -> str:
    """Return a name as one segment; raise `unknown` for a text that no name is, such as a path.

    >>> segment("lincoln campus", UnknownProvider)
    'lincoln%20campus'
    >>> segment("../tokens", UnknownProvider)
    Traceback (most recent call last):
    sisgate.errors.UnknownProvider: Nothing is called '../tokens'.
    """
    if "/" in text or not text.strip(".") or len(text) > LONGEST:
        raise unknown(f"Nothing is called {text[:LONGEST]!r}.")
    return quote(text, safe="")


def _below(root: str, unknown: type[NotFound]) -> Callable[[str], str]:
    """Return what returns the path of a name below a root."""
    return lambda name: f"{root}/{segment(name, unknown)}"


provider_path = _below("/v1/providers", UnknownProvider)
sla_path = _below("/v1/sla", UnknownProvider)
token_path = _below("/v1/tokens", UnknownToken)
schedule_path = _below("/v1/schedules", UnknownSchedule)
message_path = _below("/v1/quarantine", UnknownMessage)
webhook_path = _below("/v1/webhooks", UnknownWebhook)


def job_path(job_id: str) -> str:
    """Return the path of a job."""
    if len(job_id) > 36 or "/" in job_id:
        raise UnknownJob(f"No job has the id {job_id[:36]}.")
    return f"/v1/jobs/{segment(job_id, UnknownJob)}"


def bulk_path(action: str) -> str:
    """Return the path of an action on all jobs that match."""
    return f"/v1/jobs/bulk/{chosen('action', ('retry', 'cancel'), action)}"


def dataset_path(provider: str, resource: str) -> str:
    """Return the path of a dataset."""
    return f"{provider_path(provider)}/datasets/{segment(resource, UnknownResource)}"


def keys_path(provider: str, key_id: str | None = None) -> str:
    """Return the path of a provider's keys, or of one of them."""
    every = f"{provider_path(provider)}/keys"
    return every if key_id is None else f"{every}/{segment(key_id, UnknownKey)}"


def alert_path(alert_id: str) -> str:
    """Return the path of an alert."""
    if alert_id in _BESIDE_ALERTS or len(alert_id) > LONGEST_ALERT_ID:
        raise UnknownAlert(f"No alert has the id {alert_id[:40]}.", alert=alert_id[:40])
    return f"/v1/alerts/{segment(alert_id, UnknownAlert)}"


def silence_path(silence_id: str) -> str:
    """Return the path of a silence."""
    if len(silence_id) > LONGEST_ALERT_ID:
        raise UnknownAlert(f"No silence has the id {silence_id[:40]}.", alert=silence_id[:40])
    return f"/v1/alerts/silences/{segment(silence_id, UnknownAlert)}"


def error_pattern_path(pattern_id: str) -> str:
    """Return the path of a pattern of errors."""
    if len(pattern_id) > LONGEST_ALERT_ID:
        name = pattern_id[:40]
        raise UnknownErrorPattern(f"No error pattern has the id {name}.", pattern=name)
    return f"/v1/errors/{segment(pattern_id, UnknownErrorPattern)}"
