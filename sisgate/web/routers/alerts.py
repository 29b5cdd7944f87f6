"""Alerts: what fires, acknowledging it, silences, channels."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from sisgate.gateway import AlertStatus, Silence
from sisgate.web.deps import ACTOR, Because, Caller
from sisgate.web.rights import operation
from sisgate.web.schemas.alerts import (
    AcknowledgeOrder,
    AlertsDocument,
    ChannelsDocument,
    SentDocument,
    SilenceOrder,
    SilencesDocument,
    StateName,
    TestedDocument,
)

router = APIRouter(prefix="/v1/alerts", tags=["alerts"])

AlertId = Annotated[str, Path(description="The id of an alert, or its beginning.", max_length=20)]
LOOK = partial(operation, "look", "anywhere")
CONTROL = partial(operation, "control", "anywhere")


@router.get("", **LOOK("List alerts"))
def list_alerts(
    caller: Caller,
    state: Annotated[list[StateName] | None, Query(description="Default: not resolved.")] = None,
    provider: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> AlertsDocument:
    """Return the alerts that the caller may see, the worst first."""
    found = caller.alerts.list(states=state or (), provider=provider, limit=limit)
    return AlertsDocument(alerts=found)


@router.get("/silences", **LOOK("List silences"))
def list_silences(caller: Caller) -> SilencesDocument:
    """Return the silences in force, the first to end first."""
    return SilencesDocument(silences=caller.alerts.silences())


@router.post("/silences", status_code=201, **operation("control", "provider", "Silence alerts"))
def add_silence(order: SilenceOrder, caller: Caller) -> Silence:
    """Send no messages of a rule or a provider until a time. Alerts go on."""
    return caller.alerts.silence(**dict(order), actor=ACTOR)


@router.delete(
    "/silences/{silence_id}", status_code=204, response_class=Response, **CONTROL("End a silence")
)
def remove_silence(
    silence_id: Annotated[str, Path(description="The id of a silence.", max_length=20)],
    caller: Caller,
    reason: Because = None,
) -> None:
    """End a silence now."""
    caller.alerts.unsilence(silence_id, actor=ACTOR, reason=reason)


@router.get("/channels", **operation("control", "installation", "List channels"))
def list_channels(caller: Caller) -> ChannelsDocument:
    """Return the channels without their URLs, and what waits to be sent."""
    return ChannelsDocument(channels=caller.alerts.channels())


@router.post(
    "/channels/{channel}/test",
    status_code=202,
    **operation("control", "installation", "Test a channel"),
)
def test_channel(
    channel: Annotated[str, Path(description="The name of a channel.", max_length=63)],
    caller: Caller,
) -> TestedDocument:
    """Let a worker send a test message to a channel."""
    return TestedDocument(message=caller.alerts.test(channel, actor=ACTOR))


@router.get(
    "/messages/{number}", **operation("control", "installation", "Show whether a message was sent")
)
def get_message_sent(
    number: Annotated[int, Path(description="As testing a channel returns it.", ge=1, le=2**62)],
    caller: Caller,
) -> SentDocument:
    """Return whether a message of a channel was sent, and why its last try failed."""
    is_sent, error = caller.alerts.was_sent(number)
    return SentDocument(is_sent=is_sent, error=error)


@router.get("/{alert_id}", **LOOK("Show an alert"))
def get_alert(alert_id: AlertId, caller: Caller) -> AlertStatus:
    """Return one alert."""
    return caller.alerts.get(alert_id)


@router.post("/{alert_id}/ack", **CONTROL("Acknowledge an alert"))
def acknowledge_alert(alert_id: AlertId, order: AcknowledgeOrder, caller: Caller) -> AlertStatus:
    """Note that somebody looks after it: no more messages until it has ended."""
    return caller.alerts.ack(alert_id, **dict(order), actor=ACTOR)
