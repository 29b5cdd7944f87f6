"""The types of events that webhooks tell of, and which rows of the ledger they come from."""

from collections.abc import Iterable
from enum import StrEnum


class EventType(StrEnum):
    """What an app can subscribe to."""

    JOB_ENDED = "job.ended"
    """A job of the app has its final state, or a person has resolved it."""
    DATASET_CHANGED = "dataset.changed"
    """A sync has ended and had changed records of its dataset."""
    SYNC_HELD = "sync.held"
    """A sync would have deleted implausibly much, and waits for a person."""
    PROVIDER_DEGRADED = "provider.degraded"
    """A provider, or one of its endpoints, takes no calls."""
    PROVIDER_RECOVERED = "provider.recovered"
    """All endpoints of the provider take calls again."""
    ALERT_FIRING = "alert.firing"
    """An alert fires that is not silenced."""
    ALERT_RESOLVED = "alert.resolved"
    """What an alert that was told of said holds no more."""
    WEBHOOK_PAUSED = "webhook.paused"
    """Another webhook of the app was paused, because its receiver kept failing."""


TEST_EVENT = "webhook.test"
"""The type of the event that `webhooks test` sends. Nobody subscribes to it."""

ANY_APP = "*"
"""The app of an interest in what any app does."""


class Topic(StrEnum):
    """What may lead to events. Nothing is written of a topic in which nobody is interested."""

    JOB = "job"
    """The end of a job, of an app."""
    SYNC = "sync"
    """The end of a sync, of any app."""
    PROVIDER = "provider"
    """The condition of a provider."""
    ALERT = "alert"
    """The state of an alert."""
    WEBHOOK = "webhook"
    """The state of a webhook."""


TOPICS = {
    EventType.JOB_ENDED: Topic.JOB,
    EventType.DATASET_CHANGED: Topic.SYNC,
    EventType.SYNC_HELD: Topic.SYNC,
    EventType.PROVIDER_DEGRADED: Topic.PROVIDER,
    EventType.PROVIDER_RECOVERED: Topic.PROVIDER,
    EventType.ALERT_FIRING: Topic.ALERT,
    EventType.ALERT_RESOLVED: Topic.ALERT,
    EventType.WEBHOOK_PAUSED: Topic.WEBHOOK,
}


def interests_of(
    types: Iterable[str], app: str, *, every_app: bool = False
) -> set[tuple[Topic, str]]:
    """Return the topics that lead to events of these types, each with whose they must be.

    >>> sorted(interests_of(["job.ended", "sync.held"], "gradebook"))
    [(<Topic.JOB: 'job'>, 'gradebook'), (<Topic.SYNC: 'sync'>, '*')]
    """
    whose = dict.fromkeys((Topic.JOB, Topic.WEBHOOK), ANY_APP if every_app else app)
    topics = {TOPICS[EventType(each)] for each in types}
    return {(topic, whose.get(topic, ANY_APP)) for topic in topics}


class WebhookState(StrEnum):
    """Whether a webhook is sent to."""

    ACTIVE = "active"
    PAUSED = "paused"
    """Events are kept for it, and sent when it is resumed."""
    ENDED = "ended"
    """Its receiver responded 410: it wants nothing any more."""


class MessageState(StrEnum):
    """What became of one event for one webhook."""

    KEPT = "kept"
    """The webhook has no URL: its app reads the events."""
    WAITING = "waiting"
    SENDING = "sending"
    DELIVERED = "delivered"
    DEAD = "dead"
    """Tried for a day; it can be sent again by hand."""
    DROPPED = "dropped"
    """Its webhook ended, or may not see it any more."""


UNSENT = (MessageState.WAITING, MessageState.SENDING)
"""The states of messages that are yet to be delivered."""


class DeliveryResult(StrEnum):
    """What came of one attempt to deliver a message."""

    DELIVERED = "delivered"
    """The receiver answered 2xx."""
    REFUSED = "refused"
    """It answered 3xx, or 4xx but for 429."""
    THROTTLED = "throttled"
    """It answered 429."""
    FAILED = "failed"
    """It answered 5xx."""
    NO_RESPONSE = "no_response"
    """The message was sent, and no answer came in time."""
    NOT_SENT = "not_sent"
    """No address, no connection, or a certificate that cannot be trusted."""
