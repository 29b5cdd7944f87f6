"""Alerts over HTTP: what fires, who looks after it, silences and channels."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sisgate.alerts.evaluation import Silence
from sisgate.alerts.lifecycle import AlertStatus
from sisgate.client.connection import Connection
from sisgate.client.paths import alert_path, segment, silence_path
from sisgate.client.reading import reads_answers
from sisgate.client.twins import twin
from sisgate.client.values import text_of, value_of
from sisgate.domain.alert_states import AlertState
from sisgate.domain.validation import chosen
from sisgate.errors import NotFound, UsageError
from sisgate.gateway.alerts import Alerts, ChannelStatus

_AT = "/v1/alerts"


@reads_answers
class HttpAlerts:
    """`gateway.alerts` over HTTP. Workers alone evaluate the rules."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @twin(Alerts.list)
    def list(self, *, states: Sequence[AlertState | str], **query: Any) -> Sequence[AlertStatus]:
        wanted = [chosen("state", AlertState, each) for each in states] or None
        found = self._connection.get(_AT, {**query, "state": wanted})["alerts"]
        return value_of(list[AlertStatus], found)

    def get(self, alert_id: str) -> AlertStatus:
        """Return the one alert whose id begins so; `UnknownAlert` otherwise."""
        return value_of(AlertStatus, self._connection.get(alert_path(alert_id)))

    def ack(
        self, alert_id: str, *, actor: str | None = None, note: str | None = None
    ) -> AlertStatus:
        """Note that somebody looks after an alert; `InvalidState` for one that does not fire."""
        acknowledged = self._connection.post(f"{alert_path(alert_id)}/ack", {"note": note})
        return value_of(AlertStatus, acknowledged)

    def silence(
        self,
        until: datetime,
        *,
        rule: str | None = None,
        provider: str | None = None,
        actor: str | None = None,
        reason: str | None = None,
    ) -> Silence:
        """Send no messages of a rule, of a provider, or of both, until a time."""
        body = {
            "until": text_of("until", until), "rule": rule, "provider": provider, "reason": reason
        }  # fmt: skip
        return value_of(Silence, self._connection.post(f"{_AT}/silences", body))

    def silences(self) -> Sequence[Silence]:
        """Return the silences in force, the first to end first."""
        return value_of(list[Silence], self._connection.get(f"{_AT}/silences")["silences"])

    def unsilence(
        self, silence_id: str, *, actor: str | None = None, reason: str | None = None
    ) -> None:
        """End a silence now; `UnknownAlert` if there is none of that id."""
        self._connection.send("DELETE", silence_path(silence_id), query={"reason": reason})

    def channels(self) -> Sequence[ChannelStatus]:
        """Return the configured channels, without their URLs; `is_here`: the service has it."""
        return value_of(list[ChannelStatus], self._connection.get(f"{_AT}/channels")["channels"])

    def test(self, channel: str, *, actor: str | None = None) -> int:
        """Let a worker send a test message to a channel; return the number of the message."""
        try:
            name = segment(channel, NotFound)
        except NotFound as error:
            raise UsageError(error.message) from None
        number: int = self._connection.post(f"{_AT}/channels/{name}/test")["message"]
        return number

    def was_sent(self, number: int) -> tuple[bool, str | None]:
        """Return whether a message was sent, and why the last try of its channel failed."""
        found = self._connection.get(f"{_AT}/messages/{number}")
        return found["is_sent"], found["error"]
