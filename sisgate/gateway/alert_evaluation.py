"""The evaluation of alerts by the fleet: judge the rules, write what changes, tell of it."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from sisgate.access.policy import Action
from sisgate.alerts import evaluation
from sisgate.alerts.conditions import conditions_of
from sisgate.alerts.evaluation import Evaluation, Silence
from sisgate.alerts.lifecycle import AlertStatus
from sisgate.alerts.messages import message_of
from sisgate.audit import log as audit
from sisgate.domain.alert_states import AlertSeverity, AlertState
from sisgate.domain.webhook_events import Topic
from sisgate.gateway.alert_facts import chosen_by, read_alert_facts
from sisgate.gateway.core import Core
from sisgate.gateway.missed_syncs import MissedSyncs
from sisgate.ledger import alerts as ledger
from sisgate.ledger import webhooks
from sisgate.ledger.schema import Alert, AlertSilence
from sisgate.logs import get_logger
from sisgate.settings.alerts import AlertsConfig

log = get_logger()

_LEVELS: Mapping[AlertSeverity, str] = {
    AlertSeverity.INFO: "info", AlertSeverity.WARNING: "warning", AlertSeverity.CRITICAL: "error",
}  # fmt: skip
"""The level at which an alert that fires is logged."""

EVALUATOR = "alerts"
"""The actor of what the fleet does with alerts, in the audit log."""


class AlertEvaluator:
    """Judges the rules of the configuration, for workers."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._missed = MissedSyncs(core)

    @property
    def config(self) -> AlertsConfig:
        """The rules and channels in force."""
        return self._core.configuration.current().alerts

    def evaluate(self) -> Evaluation:
        """Judge all rules now, and write what changes with the messages to send.

        For workers. Nothing changes if another process has written this slot of time, or any
        since the alerts were read.
        """
        self._core.access.require(Action.ADMINISTER)
        config, current = self.config, self._core.configuration.current()
        rules = config.in_force
        facts = read_alert_facts(self._core, rules, current.providers, self._missed)
        chosen = chosen_by(rules, current.providers)
        found = conditions_of(rules, facts, chosen)
        now = self._core.clock.now()
        with self._core.database.read() as session:
            last = ledger.last_evaluation(session)  # first: what is written later is not known
            seen = last.slot if last is not None else None
            rows = ledger.open_or_recent(session, now - evaluation.RECENT)
            known = [status_of(row) for row in rows]
            silent = [silence_of(row) for row in ledger.silences(session, now)]
        result = evaluation.evaluate(config, known, found, silent, now, _new_id)
        if result.is_empty:
            return result
        slot = int(now.timestamp() // config.every.total_seconds())
        with self._core.database.write() as session:
            if not ledger.take_slot(session, slot, seen, now):
                return Evaluation()
            self._write(session, known, result, now)
            ledger.enqueue(session, _messages(result, chosen), now)
        for alert, told in result.told:
            fires = told == "firing"
            write = getattr(log, _LEVELS[alert.severity]) if fires else log.info
            write(
                "alert_firing" if fires else "alert_recovered",
                alert=alert.id, rule=alert.rule, subject=alert.subject, cause=alert.cause,
                severity=alert.severity.value, culprit=alert.culprit,
            )  # fmt: skip
        return result

    def _write(
        self, session: Session, known: Sequence[AlertStatus], result: Evaluation, now: datetime
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


_COLUMNS = [field.name for field in fields(AlertStatus) if hasattr(Alert, field.name)]
"""What the ledger has of an alert."""


def status_of(row: Alert) -> AlertStatus:
    """Return an alert from its row."""
    values = {name: getattr(row, name) for name in _COLUMNS}
    values["state"], values["severity"] = AlertState(row.state), AlertSeverity(row.severity)
    return AlertStatus(**{**values, "channels": tuple(row.channels)})


def _told_to_apps(alert: AlertStatus) -> dict[str, Any]:
    """Return what webhooks tell of an alert: no text."""
    return {
        "alert": alert.id, "rule": alert.rule, "subject": alert.subject,
        "provider": alert.provider, "severity": alert.severity.value, "cause": alert.cause,
        "culprit": alert.culprit, "times": alert.times,
    }  # fmt: skip


def _values(alert: AlertStatus) -> dict[str, Any]:
    values = {name: getattr(alert, name) for name in _COLUMNS}
    values["state"], values["severity"] = alert.state.value, alert.severity.value
    return {**values, "channels": list(alert.channels)}


def _messages(
    result: Evaluation, chosen: Mapping[str, AbstractSet[str]]
) -> Iterator[Mapping[str, Any]]:
    """Yield one message for each channel that is to be told of something."""

    def is_covered(alert: AlertStatus) -> bool:
        providers = chosen.get(alert.rule)
        return providers is not None and (alert.provider is None or alert.provider in providers)

    for name, items in result.messages.items():
        message = message_of(items, is_covered)
        yield {
            "channel": name,
            "title": message.title,
            "body": message.body,
            "severity": message.severity.value,
            "alerts": list(message.alerts),
            "recovered": message.recovered,
        }


def silence_of(row: AlertSilence) -> Silence:
    """Return a silence from its row."""
    return Silence(row.id, row.rule, row.provider, row.until, row.set_by, row.reason)


def _new_id() -> str:
    return f"al_{secrets.token_hex(4)}"
