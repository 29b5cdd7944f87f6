"""Alerts: their states, silences and channels, for people."""

import secrets
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.orm import Session

from sisgate.access.policy import Action, covers_some, providers_of
from sisgate.alerts import channels
from sisgate.alerts.evaluation import Silence
from sisgate.alerts.lifecycle import AlertStatus, held_until
from sisgate.alerts.names import APP, renamed
from sisgate.domain.alert_states import AlertMessageState, AlertSeverity, AlertState
from sisgate.domain.validation import aware, chosen, did_you_mean
from sisgate.errors import InvalidState, UnknownAlert, UsageError
from sisgate.gateway.alert_evaluation import AlertEvaluator, silence_of, status_of
from sisgate.ledger import alerts as ledger
from sisgate.ledger.schema import Alert, AlertSilence


@dataclass(frozen=True)
class ChannelStatus:
    """A channel: where its URL is, whether this process has it, and what waits to be sent."""

    name: str
    place: str
    is_here: bool
    least: AlertSeverity
    waiting: int
    last_error: str | None


class Alerts(AlertEvaluator):
    """What fires, and who looks after it. Each change by a person is audited."""

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
            rows = ledger.find(
                session, states=wanted, provider=provider, among=among, app=principal.only_app,
                limit=limit,
            )  # fmt: skip
            return [renamed(each, principal.name_of) for each in self._shown(session, rows)]

    def get(self, alert_id: str) -> AlertStatus:
        """Return the one alert whose id begins so; `UnknownAlert` otherwise."""
        principal = self._core.access.require_role(Action.LOOK)
        with self._core.database.read() as session:
            (alert,) = self._shown(session, [_one(session, alert_id)])
        if alert.provider is not None:
            is_seen = covers_some(principal, alert.provider)
        else:
            is_seen = APP not in alert.evidence or principal.is_told_of(alert.evidence[APP])
        if not is_seen:
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
            return self._shown(session, [row])[0]

    def _shown(self, session: Session, rows: Sequence[Alert]) -> Sequence[AlertStatus]:
        """Return alerts with what people ask for: whether news are held down, or not delivered."""
        late: defaultdict[str, dict[str, None]] = defaultdict(dict)
        for channel, alerts in ledger.undelivered(session):
            for alert in alerts:
                late[alert][channel] = None
        now, held = self._core.clock.now(), self.config.flaps_held
        return [
            replace(
                alert, held_until=held_until(alert, held, now), undelivered=tuple(late[alert.id])
            )
            for alert in map(status_of, rows)
        ]

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
            return silence_of(row)

    def silences(self) -> Sequence[Silence]:
        """Return the silences in force that the caller may see, the first to end first."""
        principal = self._core.access.require_role(Action.LOOK)
        with self._core.database.read() as session:
            rows = ledger.silences(session, self._core.clock.now())
            found = [silence_of(row) for row in rows]
        return [e for e in found if e.provider is None or covers_some(principal, e.provider)]

    def unsilence(self, silence_id: str, *, actor: str, reason: str | None = None) -> None:
        """End a silence now; `UnknownAlert` if there is none of that id."""
        self._core.access.require_role(Action.CONTROL)
        with self._core.database.write() as session:
            row, now = session.get(AlertSilence, silence_id), self._core.clock.now()
            if row is None:
                raise _unknown(silence_id)
            principal = self._core.access.require(Action.CONTROL, row.provider)
            actor = principal.token_actor or actor
            self._audit(session, now, actor, "unsilence", row.id, reason, rule=row.rule)
            session.delete(row)

    def channels(self) -> Sequence[ChannelStatus]:
        """Return the configured channels, without their URLs."""
        self._core.access.require(Action.CONTROL)
        with self._core.database.read() as session:
            waiting = {name: (n, why) for name, n, _, why in ledger.waiting_by_channel(session)}
        return [
            ChannelStatus(
                name, channels.place_of(channel), channels.url_of(channel) is not None,
                channel.least, *waiting.get(name, (0, None)),
            )
            for name, channel in sorted(self.config.channels.items())
        ]  # fmt: skip

    def test(self, channel: str, *, actor: str) -> int:
        """Let a worker send a test message to a channel; return the number of the message.

        What waits for the channel is sent first, now. Raises `UsageError` for one that is not
        configured.
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
            ledger.hurry(session, channel, now)
            self._audit(session, now, actor, "test", channel, None)
        return number

    def was_sent(self, number: int) -> tuple[bool, str | None]:
        """Return whether a message was sent, and why the last try of its channel failed."""
        self._core.access.require(Action.CONTROL)
        with self._core.database.read() as session:
            row = ledger.message(session, number)
            if row is None:
                raise _unknown(str(number))
            ahead = [e for e in ledger.waiting_messages(session) if e.channel == row.channel]
        if row.state == AlertMessageState.SENT:
            return True, None
        return False, next((each.error for each in [row, *ahead] if each.error), None)


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
