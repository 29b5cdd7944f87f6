"""Alerts: their states, silences, channels, and their evaluation by the fleet."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.orm import Session

from sisgate.access.policy import Action, covers_some, providers_of
from sisgate.alerts import channels, evaluation
from sisgate.alerts.conditions import conditions_of
from sisgate.alerts.evaluation import Evaluation, Silence
from sisgate.alerts.lifecycle import AlertStatus
from sisgate.alerts.messages import message_of
from sisgate.alerts.names import renamed
from sisgate.audit import log as audit
from sisgate.domain.alert_states import AlertMessageState, AlertSeverity, AlertState
from sisgate.domain.validation import aware, chosen, did_you_mean
from sisgate.domain.webhook_events import Topic
from sisgate.errors import InvalidState, UnknownAlert, UsageError
from sisgate.gateway.alert_facts import chosen_by, read_alert_facts
from sisgate.gateway.core import Core
from sisgate.ledger import alerts as ledger
from sisgate.ledger import webhooks
from sisgate.ledger.schema import Alert, AlertSilence
from sisgate.settings.alerts import AlertRule, AlertsConfig

log = structlog.get_logger()

EVALUATOR = "alerts"
"""The actor of what the fleet does with alerts, in the audit log."""


@dataclass(frozen=True)
class ChannelStatus:
    """A channel: where its URL is, whether this process has it, and what waits to be sent."""

    name: str
    place: str
    is_here: bool
    least: AlertSeverity
    waiting: int
    last_error: str | None


class Alerts:
    """What fires, and who looks after it. Each change by a person is audited."""

    def __init__(self, core: Core) -> None:
        self._core = core

    @property
    def config(self) -> AlertsConfig:
        """The rules and channels in force."""
        return self._core.configuration.current().alerts

    def list(
        self,
        *,
        states: Sequence[AlertState | str] = (),
        provider: str | None = None,
        limit: int = 100,
    ) -> Sequence[AlertStatus]:
        """Return the alerts that the caller may see: those that have not ended, else by `states`.

        The worst come first, then those that have ended, the newest first of each.
        """
        principal = self._core.access.require_role(Action.LOOK)
        wanted = [AlertState(chosen("state", AlertState, each)) for each in states] or [
            state for state in AlertState if state is not AlertState.RESOLVED
        ]
        among = providers_of(principal)
        with self._core.database.read() as session:
            rows = ledger.find(session, states=wanted, provider=provider, among=among, limit=limit)
            return [renamed(status_of(row), principal.name_of) for row in rows]

    def get(self, alert_id: str) -> AlertStatus:
        """Return the one alert whose id begins so; `UnknownAlert` otherwise."""
        principal = self._core.access.require_role(Action.LOOK)
        with self._core.database.read() as session:
            alert = status_of(_one(session, alert_id))
        if alert.provider is not None and not covers_some(principal, alert.provider):
            raise _unknown(alert_id)
        return renamed(alert, principal.name_of)

    def ack(self, alert_id: str, *, actor: str, note: str | None = None) -> AlertStatus:
        """Note that somebody looks after an alert; nothing more is sent until it has ended.

        Raises `InvalidState` for one that does not fire.
        """
        self._core.access.require_role(Action.CONTROL)
        before = self.get(alert_id)
        principal = self._core.access.require(Action.CONTROL, before.provider)
        actor, now = principal.token_actor or actor, self._core.clock.now()
        with self._core.database.write() as session:
            row = _one(session, before.id, lock=True)
            if not AlertState(row.state).is_firing:
                raise InvalidState(f"Alert {row.id} does not fire: it is {row.state}.")
            row.state = AlertState.ACKNOWLEDGED.value
            row.acknowledged_at, row.acknowledged_by = now, actor[:100]
            row.note = note[:500] if note else None
            self._audit(session, now, actor, "ack", row.id, note, rule=row.rule)
            return status_of(row)

    def silence(
        self,
        until: datetime,
        *,
        rule: str | None = None,
        provider: str | None = None,
        actor: str,
        reason: str | None = None,
    ) -> Silence:
        """Send no messages of a rule, of a provider, or of both, until a time (aware).

        Alerts go on; what still fires then is told. Raises `UsageError` for a time in the past, an
        unknown rule, and for neither.
        """
        principal = self._core.access.require(Action.CONTROL, provider)
        moment, now = aware("until", until), self._core.clock.now()
        if moment is None or moment <= now:
            raise UsageError("A silence ends at a time to come.")
        if rule is None and provider is None:
            raise UsageError("Say what to silence: a rule, a provider, or both.")
        known = self.config.in_force
        if rule is not None and rule not in known:
            raise UsageError(
                f"There is no rule {rule!r}. Rules: {', '.join(sorted(known))}."
                f"{did_you_mean(rule, known)}"
            )
        if provider is not None:
            self._core.provider(provider)
        actor = principal.token_actor or actor
        row = AlertSilence(
            id=f"si_{secrets.token_hex(4)}", rule=rule, provider=provider, until=moment,
            set_by=actor[:100], reason=reason[:500] if reason else None, created_at=now,
        )  # fmt: skip
        with self._core.database.write() as session:
            session.add(row)
            self._audit(
                session, now, actor, "silence", row.id, reason,
                rule=rule, silenced=provider, until=moment.isoformat(),
            )  # fmt: skip
            return _silence(row)

    def silences(self) -> Sequence[Silence]:
        """Return the silences in force that the caller may see, the first to end first."""
        principal = self._core.access.require_role(Action.LOOK)
        with self._core.database.read() as session:
            rows = ledger.silences(session, self._core.clock.now())
            found = [_silence(row) for row in rows]
        return [e for e in found if e.provider is None or covers_some(principal, e.provider)]

    def unsilence(self, silence_id: str, *, actor: str) -> None:
        """End a silence now; `UnknownAlert` if there is none of that id."""
        self._core.access.require_role(Action.CONTROL)
        with self._core.database.write() as session:
            row, now = session.get(AlertSilence, silence_id), self._core.clock.now()
            if row is None:
                raise _unknown(silence_id)
            principal = self._core.access.require(Action.CONTROL, row.provider)
            actor = principal.token_actor or actor
            self._audit(session, now, actor, "unsilence", row.id, None, rule=row.rule)
            session.delete(row)

    def channels(self) -> Sequence[ChannelStatus]:
        """Return the configured channels, without their URLs."""
        self._core.access.require(Action.CONTROL)
        with self._core.database.read() as session:
            waiting = ledger.waiting_messages(session)
        found = []
        for name, channel in sorted(self.config.channels.items()):
            own = [each for each in waiting if each.channel == name]
            error = next((each.error for each in reversed(own) if each.error), None)
            is_here = channels.url_of(channel) is not None
            place = channels.place_of(channel)
            found.append(ChannelStatus(name, place, is_here, channel.least, len(own), error))
        return found

    def test(self, channel: str, *, actor: str) -> int:
        """Let a worker send a test message to a channel; return the number of the message.

        Raises `UsageError` for a channel that is not configured.
        """
        principal = self._core.access.require(Action.CONTROL)
        actor, now, known = principal.token_actor or actor, self._core.clock.now(), self.config
        if channel not in known.channels:
            names = ", ".join(sorted(known.channels)) or "none"
            raise UsageError(
                f"There is no channel {channel!r}. Channels: {names}."
                f"{did_you_mean(channel, known.channels)}"
            )
        values = {
            "channel": channel,
            "title": "[test] sisgate",
            "body": f"A test of the channel {channel}, by {actor}.",
            "severity": AlertSeverity.INFO.value,
            "alerts": [],
        }
        with self._core.database.write() as session:
            number = ledger.enqueue(session, [values], now)[0]
            self._audit(session, now, actor, "test", channel, None)
        return number

    def was_sent(self, number: int) -> tuple[bool, str | None]:
        """Return whether a message was sent, and why the last try failed."""
        self._core.access.require(Action.CONTROL)
        with self._core.database.read() as session:
            row = ledger.message(session, number)
        if row is None:
            raise _unknown(str(number))
        return row.state == AlertMessageState.SENT, row.error

    def evaluate(self) -> Evaluation:
        """Judge all rules now, and write what changes with the messages to send.

        For workers. A slot of time that another process has written is left alone: then nothing
        changes.
        """
        self._core.access.require(Action.ADMINISTER)
        config, current = self.config, self._core.configuration.current()
        rules = config.in_force
        facts = read_alert_facts(self._core, rules, current.providers)
        found = conditions_of(rules, facts, chosen_by(rules, current.providers))
        now = self._core.clock.now()
        with self._core.database.read() as session:
            rows = ledger.open_or_recent(session, now - evaluation.RECENT)
            known = [status_of(row) for row in rows]
            silent = [_silence(row) for row in ledger.silences(session, now)]
        result = evaluation.evaluate(config, known, found, silent, now, _new_id)
        if result.is_empty:
            return result
        slot = int(now.timestamp() // config.every.total_seconds())
        with self._core.database.write() as session:
            if not ledger.take_slot(session, slot, now):
                return Evaluation()
            self._write(session, config, known, result, now)
        for alert, told in result.told:
            log.warning(
                "alert_firing" if told == "firing" else "alert_recovered",
                alert=alert.id, rule=alert.rule, subject=alert.subject, cause=alert.cause,
                severity=alert.severity.value, culprit=alert.culprit,
            )  # fmt: skip
        return result

    def _write(
        self,
        session: Session,
        config: AlertsConfig,
        known: Sequence[AlertStatus],
        result: Evaluation,
        now: datetime,
    ) -> None:
        before = {alert.id: alert for alert in known}
        rows = {row.id: row for row in ledger.open_or_recent(session, now - evaluation.RECENT)}
        ledger.forget(session, [alert.id for alert in result.forgotten])
        for alert in result.changed:
            row = rows.get(alert.id)
            values = _values(alert)
            if row is not None and row.state == AlertState.ACKNOWLEDGED and alert.state.is_firing:
                # Acknowledged since it was read.
                for name in ("state", "acknowledged_at", "acknowledged_by", "note"):
                    del values[name]
            ledger.store(session, row, values)
            was = before.get(alert.id)
            if alert.state is not (was.state if was is not None else AlertState.PENDING):
                self._audit(
                    session, now, EVALUATOR, _ACTS[alert.state], alert.id, alert.message,
                    rule=alert.rule, of=alert.subject, severity=alert.severity.value,
                    cause=alert.cause,
                )  # fmt: skip
        ledger.enqueue(session, _messages(config, result), now)
        for alert, told in result.told:
            data = _told_to_apps(alert)
            webhooks.tell(session, Topic.ALERT, now, provider=alert.provider, state=told, data=data)

    def _audit(
        self,
        session: Session,
        now: datetime,
        actor: str,
        act: str,
        subject: str,
        reason: str | None,
        **detail: Any,
    ) -> None:
        audit.record(
            session, now, actor=actor, action=f"alerts:alert:{act}", subject=f"alert/{subject}",
            reason=reason, **detail,
        )  # fmt: skip


_ACTS = {
    AlertState.PENDING: "pend",
    AlertState.FIRING: "fire",
    AlertState.ACKNOWLEDGED: "ack",
    AlertState.RESOLVED: "resolve",
}


def status_of(row: Alert) -> AlertStatus:
    """Return an alert from its row."""
    values = {field.name: getattr(row, field.name) for field in fields(AlertStatus)}
    return AlertStatus(
        **{**values, "state": AlertState(row.state), "severity": AlertSeverity(row.severity)}
    )


def _told_to_apps(alert: AlertStatus) -> dict[str, Any]:
    """Return what webhooks tell of an alert: no text."""
    return {
        "alert": alert.id, "rule": alert.rule, "subject": alert.subject,
        "provider": alert.provider, "severity": alert.severity.value, "cause": alert.cause,
        "culprit": alert.culprit, "times": alert.times,
    }  # fmt: skip


def _values(alert: AlertStatus) -> dict[str, Any]:
    values = {field.name: getattr(alert, field.name) for field in fields(AlertStatus)}
    return {**values, "state": alert.state.value, "severity": alert.severity.value}


def _messages(config: AlertsConfig, result: Evaluation) -> Sequence[Mapping[str, Any]]:
    """Return one message for each channel that is to be told of something."""
    rules, found = config.in_force, []
    for name, channel in config.channels.items():
        items = [
            (alert, told)
            for alert, told in result.told
            if alert.severity.rank >= channel.least.rank and _is_for(name, rules.get(alert.rule))
        ]
        if items:
            message = message_of(items)
            found.append(
                {
                    "channel": name,
                    "title": message.title,
                    "body": message.body,
                    "severity": message.severity.value,
                    "alerts": list(message.alerts),
                }
            )
    return found


def _is_for(channel: str, rule: AlertRule | None) -> bool:
    return rule is None or rule.channels is None or channel in rule.channels


def _silence(row: AlertSilence) -> Silence:
    return Silence(row.id, row.rule, row.provider, row.until, row.set_by, row.reason)


def _one(session: Session, alert_id: str, *, lock: bool = False) -> Alert:
    rows = ledger.beginning(session, alert_id.strip(), lock=lock) if alert_id.strip() else []
    exact = [row for row in rows if row.id == alert_id]
    if len(exact or rows) != 1:
        raise _unknown(alert_id)
    return (exact or list(rows))[0]


def _unknown(alert_id: str) -> UnknownAlert:
    return UnknownAlert(
        f"No alert or silence has the id {alert_id[:40]}, or several begin so. `sisgate alerts "
        "list` shows the alerts, `sisgate alerts silences` the silences.",
        alert=alert_id[:40],
    )


def _new_id() -> str:
    return f"al_{secrets.token_hex(4)}"
