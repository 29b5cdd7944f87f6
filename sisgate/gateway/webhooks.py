"""Webhooks of apps: adding, changing, pausing, testing; what was delivered; reading events."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from sisgate.access.policy import Action, Principal
from sisgate.audit import log as audit
from sisgate.domain.validation import chosen
from sisgate.domain.webhook_events import (
    TEST_EVENT,
    EventType,
    MessageState,
    WebhookState,
)
from sisgate.errors import CursorAhead, CursorTooOld, InvalidState, UsageError
from sisgate.gateway.core import Core
from sisgate.gateway.webhook_info import WebhookDelivery, WebhookEvents, WebhookInfo
from sisgate.gateway.webhook_rows import delivery_of, event_of, facts_of, info_of, message_of
from sisgate.ledger import webhook_messages, webhooks
from sisgate.ledger.schema import Webhook, WebhookMessage
from sisgate.ledger.webhook_messages import NewMessage
from sisgate.settings.webhooks import WebhookConfig
from sisgate.webhooks.rights import may_see
from sisgate.webhooks.signing import new_secret, secret_context

OVERLAP = timedelta(days=1)
"""How long a replaced secret still signs."""

NOTE_LIMIT = 200
MOST_EVENTS = 1000


class Webhooks:
    """What apps do with their webhooks, and operators with those of all apps.

    An app sees its own. Each change is audited; `actor` names who does it, unless a token says.
    Methods raise `AccessDenied`, `UnknownWebhook` and `DatabaseUnavailable`.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    def add(
        self,
        url: str | None,
        events: Sequence[str],
        *,
        providers: Sequence[str] = (),
        every_app: bool = False,
        ordered: bool = False,
        note: str | None = None,
        app: str | None = None,
        actor: str = "local",
        reason: str | None = None,
    ) -> WebhookInfo:
        """Create a webhook and return it with its secret, which is shown only now.

        It is told of what happens from now on. Without `url`, the app reads the events with
        `events`. `providers` narrows it down; else it is all that the app's tokens cover.
        `every_app` also tells of other apps' jobs, for operators. `ordered`: events of a dataset
        are sent one after the other. Raises `UsageError` and `UnknownProvider`.
        """
        principal, core = self._core.access.require_role(Action.ENQUEUE), self._core
        is_token = principal.kind == "token"
        app = core.app_of(principal, app) or (
            principal.name if is_token else core.settings.app_name
        )
        owner = (principal.name if every_app else app) if is_token else None
        kinds = _kinds(events)
        self._check(url, providers, note, every_app=every_app)
        secret, webhook_id, now = new_secret(), f"wh_{secrets.token_hex(6)}", core.clock.now()
        sealed = core.context.vault.seal(
            secret.get_secret_value().encode(), secret_context(webhook_id)
        )
        row = Webhook(
            id=webhook_id, app=app, owner=owner, url=url, events=kinds,
            providers=list(providers) or None, every_app=every_app, ordered=ordered, note=note,
            state=WebhookState.ACTIVE.value, sealed_secret=sealed, last_number=0, failures=0,
            created_at=now, changed_at=now,
        )  # fmt: skip
        with core.database.write() as session:
            most = self._config.most_per_app
            if webhooks.count_of(session, app) >= most:
                raise UsageError(
                    f"{app} has {most} webhooks already, the most that an app may have "
                    "(webhooks.most_per_app in the configuration). Remove or edit one of them."
                )
            session.add(row)
            webhooks.set_interests(session, row)
            self._audit(session, principal, "add", row, actor, reason, **facts_of(row))
        return info_of(row, secret=secret)

    def list(self, *, app: str | None = None) -> list[WebhookInfo]:
        """Return the webhooks of the caller; for operators of `app`, or of all apps."""
        principal = self._core.access.require_role(Action.ENQUEUE)
        sees_all = self._sees_all()
        if not sees_all and app not in {None, principal.name}:
            return []
        whose = app if sees_all else principal.name
        with self._core.database.read() as session:
            rows = webhooks.of_app(session, whose)
            counts = webhook_messages.counts(session, [row.id for row in rows])
            return [info_of(row, counts.get(row.id)) for row in rows]

    def show(self, webhook_id: str) -> WebhookInfo:
        """Return one webhook."""
        self._core.access.require_role(Action.ENQUEUE)
        with self._core.database.read() as session:
            row = self._own(webhooks.get(session, webhook_id))
            return info_of(row, webhook_messages.counts(session, [row.id]).get(row.id))

    def edit(
        self,
        webhook_id: str,
        *,
        url: str | None = None,
        poll: bool = False,
        events: Sequence[str] | None = None,
        providers: Sequence[str] | None = None,
        every_app: bool | None = None,
        ordered: bool | None = None,
        note: str | None = None,
        actor: str = "local",
        reason: str | None = None,
    ) -> WebhookInfo:
        """Change a webhook; None leaves a value as it is, and empty `providers` stand for all.

        `poll` removes the URL: the app reads the events itself. A new `url` is tried at once.
        """
        principal = self._core.access.require_role(Action.ENQUEUE)
        if poll and url is not None:
            raise UsageError("Give either a URL or poll: without a URL, the app reads the events.")
        self._check(url, providers or (), note, every_app=bool(every_app))
        with self._core.database.write() as session:
            row, now = self._own(webhooks.lock(session, webhook_id)), self._core.clock.now()
            if events is not None:
                row.events = _kinds(events)
            if providers is not None:
                row.providers = list(providers) or None
            if every_app is not None and every_app is not row.every_app:
                row.every_app = every_app
                if row.owner is not None:
                    row.owner = principal.name if every_app else row.app
            row.ordered = row.ordered if ordered is None else ordered
            row.note = row.note if note is None else note or None
            if url is not None and url != row.url:
                row.url = url
                _begin_anew(session, row, now)
            if poll and row.url is not None:
                row.url = None
                webhook_messages.keep_unsent(session, row.id)
            row.changed_at = now
            webhooks.set_interests(session, row)
            self._audit(session, principal, "edit", row, actor, reason, **facts_of(row))
            return info_of(row, webhook_messages.counts(session, [row.id]).get(row.id))

    def remove(self, webhook_id: str, *, actor: str = "local", reason: str | None = None) -> None:
        """Delete a webhook with its events and their log. What is under way may still arrive."""
        principal = self._core.access.require_role(Action.ENQUEUE)
        with self._core.database.write() as session:
            row = self._own(webhooks.lock(session, webhook_id))
            self._audit(session, principal, "remove", row, actor, reason)
            webhooks.remove(session, row)

    def pause(
        self, webhook_id: str, *, actor: str = "local", reason: str | None = None
    ) -> WebhookInfo:
        """Send nothing more until `resume`; events are kept as long as `retention.webhooks` says.

        Raises `InvalidState` for one that has ended.
        """
        principal = self._core.access.require_role(Action.ENQUEUE)
        with self._core.database.write() as session:
            row = self._own(webhooks.lock(session, webhook_id))
            if row.state == WebhookState.ENDED:
                raise InvalidState(f"Webhook {row.id} has ended: {row.reason}", webhook=row.id)
            who, because = (
                principal.token_actor or actor,
                f": {reason.rstrip('.')}" if reason else "",
            )
            row.state, row.changed_at = WebhookState.PAUSED.value, self._core.clock.now()
            row.reason = f"Paused by {who}{because}."[:500]
            self._audit(session, principal, "pause", row, actor, reason)
            return info_of(row, webhook_messages.counts(session, [row.id]).get(row.id))

    def resume(
        self, webhook_id: str, *, actor: str = "local", reason: str | None = None
    ) -> WebhookInfo:
        """Send again, also what was kept meanwhile. Also ends a wait after failures."""
        principal = self._core.access.require_role(Action.ENQUEUE)
        with self._core.database.write() as session:
            row, now = self._own(webhooks.lock(session, webhook_id)), self._core.clock.now()
            row.state, row.reason, row.changed_at = WebhookState.ACTIVE.value, None, now
            _begin_anew(session, row, now)
            webhooks.set_interests(session, row)
            self._audit(session, principal, "resume", row, actor, reason)
            return info_of(row, webhook_messages.counts(session, [row.id]).get(row.id))

    def rotate_secret(
        self,
        webhook_id: str,
        *,
        overlap: timedelta = OVERLAP,
        actor: str = "local",
        reason: str | None = None,
    ) -> WebhookInfo:
        """Replace the secret and return the new one, which is shown only now.

        Both sign during the `overlap`; none is left of the old one if that is zero.
        """
        principal, core = self._core.access.require_role(Action.ENQUEUE), self._core
        if overlap < timedelta(0):
            raise UsageError("The overlap must not be negative.")
        secret = new_secret()
        with core.database.write() as session:
            row, now = self._own(webhooks.lock(session, webhook_id)), core.clock.now()
            row.sealed_former = row.sealed_secret if overlap else None
            row.former_until = now + overlap if overlap else None
            row.sealed_secret = core.context.vault.seal(
                secret.get_secret_value().encode(), secret_context(row.id)
            )
            row.changed_at = now
            self._audit(
                session, principal, "rotate_secret", row, actor, reason,
                overlap_seconds=round(overlap.total_seconds()),
            )  # fmt: skip
            return info_of(row, secret=secret)

    def test(self, webhook_id: str, *, actor: str = "local") -> WebhookDelivery:
        """Send an event of the type `webhook.test`; `delivery` shows what becomes of it.

        Raises `InvalidState` for a webhook that is not active.
        """
        principal = self._core.access.require_role(Action.ENQUEUE)
        with self._core.database.write() as session:
            row, now = self._own(webhooks.lock(session, webhook_id)), self._core.clock.now()
            if row.state != WebhookState.ACTIVE:
                raise InvalidState(
                    f"Webhook {row.id} is {row.state}: {row.reason} "
                    f"`sisgate webhooks resume {row.id}` makes it active.",
                    webhook=row.id,
                )
            if row.failures:
                _begin_anew(session, row, now)
            data = {"webhook": row.id}
            test = NewMessage(f"evt_{uuid.uuid4().hex}", TEST_EVENT, now, data)
            webhook_messages.append(session, row, [test], now)
            self._audit(session, principal, "test", row, actor, None, number=row.last_number)
            session.flush()
            return delivery_of(webhook_messages.get(session, row.id, row.last_number))

    def deliveries(
        self,
        webhook_id: str,
        *,
        state: str | None = None,
        limit: int = 50,
        before: int | None = None,
    ) -> Sequence[WebhookDelivery]:
        """Return the newest events of a webhook and what became of them.

        `before` is the number of an event: those below it. Raises `UsageError`.
        """
        self._core.access.require_role(Action.ENQUEUE)
        wanted = MessageState(chosen("state", MessageState, state)) if state else None
        _check_limit(limit)
        with self._core.database.read() as session:
            self._own(webhooks.get(session, webhook_id))
            rows = webhook_messages.newest(
                session, webhook_id, limit=limit, before=before, state=wanted
            )
            rows = [row for row in rows if self._may_see(row)]
            last = webhook_messages.last_attempts(session, rows)
            return [delivery_of(row, last.get(row.number)) for row in rows]

    def delivery(self, webhook_id: str, number: int) -> WebhookDelivery:
        """Return one event of a webhook with all attempts; `UnknownMessage` if there is none."""
        self._core.access.require_role(Action.ENQUEUE)
        with self._core.database.read() as session:
            self._own(webhooks.get(session, webhook_id))
            row = webhook_messages.get(session, webhook_id, number)
            if not self._may_see(row):
                raise webhook_messages.unknown(webhook_id, number)
            tries = webhook_messages.attempts_of(session, webhook_id, number)
            return delivery_of(row, tries[-1] if tries else None, tries)

    def redeliver(
        self,
        webhook_id: str,
        number: int | None = None,
        *,
        actor: str = "local",
        reason: str | None = None,
    ) -> int:
        """Send an event again, or without `number` all dead letters; return how many.

        It keeps its id and is tried as long as a new one. Raises `UnknownMessage`, and
        `InvalidState` for an event that is waiting anyway, or a webhook without a URL.
        """
        principal = self._core.access.require_role(Action.ENQUEUE)
        with self._core.database.write() as session:
            row, now = self._own(webhooks.lock(session, webhook_id)), self._core.clock.now()
            if row.url is None:
                raise InvalidState(f"Webhook {row.id} has no URL to send to.", webhook=row.id)
            if number is None:
                count = webhook_messages.send_again(
                    session, row.id, now, webhook_messages.is_dead()
                )
            else:
                webhook_messages.get(session, row.id, number)
                which = webhook_messages.is_numbered(number)
                count = webhook_messages.send_again(session, row.id, now, which)
                if not count:
                    raise InvalidState(
                        f"Event {number} of webhook {row.id} is yet to be sent.", webhook=row.id
                    )
            self._audit(
                session, principal, "redeliver", row, actor, reason, number=number, events=count
            )
            return count

    def events(self, webhook_id: str, *, after: int = 0, limit: int = 100) -> WebhookEvents:
        """Return the events numbered above the cursor `after`, in order, at most `limit`.

        For apps that nobody can send to: ask again with the returned `cursor`. Numbers become
        visible in order. Raises `CursorTooOld` if events above the cursor are gone, `CursorAhead`
        if the webhook has not got so far, and `UsageError`.
        """
        self._core.access.require_role(Action.ENQUEUE)
        _check_limit(limit)
        if after < 0:
            raise UsageError("A cursor is 0, or the cursor of an earlier answer.")
        with self._core.database.read() as session:
            webhook = self._own(webhooks.get(session, webhook_id))
            _check_cursor(session, webhook, after)
            rows = webhook_messages.after(session, webhook_id, after, limit)
            cursor = rows[-1].number if rows else after
            events = [event_of(row) for row in rows if self._may_see(row)]
            return WebhookEvents(events, cursor, cursor < webhook.last_number)

    @property
    def _config(self) -> WebhookConfig:
        return self._core.configuration.current().webhooks

    def _check(
        self,
        url: str | None,
        providers: Sequence[str],
        note: str | None,
        *,
        every_app: bool,
    ) -> None:
        if every_app:
            self._core.access.require(Action.CONTROL)
        for provider in providers:
            self._core.provider(provider)
            self._core.access.require_any(Action.LOOK, provider)
        if note is not None and (len(note) > NOTE_LIMIT or not note.isprintable()):
            raise UsageError(f"A note has at most {NOTE_LIMIT} printable characters.")
        refusal = self._config.rules.refusal_of_url(url) if url is not None else None
        if refusal is not None:
            raise UsageError(
                f"A webhook cannot be sent to that URL: {refusal}. `allow` and `allow_http` of "
                "[webhooks] in the configuration set what may be sent to."
            )

    def _sees_all(self) -> bool:
        return self._core.access.allows(Action.CONTROL)

    def _own(self, row: Webhook) -> Webhook:
        """Return a webhook that the caller may see; `UnknownWebhook` else."""
        principal = self._core.access.principal()
        if row.app != principal.name and not self._sees_all():
            raise webhooks.unknown(row.id)
        return row

    def _may_see(self, row: WebhookMessage) -> bool:
        """Whether the caller's token covers what an event tells; it may cover less than once."""
        return may_see(self._core.access.principal(), message_of(row))

    def _audit(
        self,
        session: Session,
        principal: Principal,
        act: str,
        row: Webhook,
        actor: str,
        reason: str | None,
        **detail: Any,
    ) -> None:
        audit.record(
            session, self._core.clock.now(), actor=principal.token_actor or actor,
            action=f"webhooks:webhook:{act}", subject=f"webhook/{row.id}", reason=reason,
            app=row.app, **detail,
        )  # fmt: skip


def _kinds(events: Sequence[str]) -> list[str]:
    kinds = sorted({EventType(chosen("event", EventType, each)).value for each in events})
    if not kinds:
        raise UsageError(f"A webhook needs an event: {', '.join(EventType)}.")
    return kinds


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= MOST_EVENTS:
        raise UsageError(f"The limit is from 1 to {MOST_EVENTS}, not {limit}.")


def _check_cursor(session: Session, webhook: Webhook, after: int) -> None:
    newest = webhook.last_number
    if after > newest:
        raise CursorAhead(
            f"The cursor {after} is above the newest event of webhook {webhook.id}, {newest}: the "
            "ledger may have been restored from a backup. Continue from there.",
            newest=newest,
        )
    oldest = webhook_messages.oldest_number(session, webhook.id)
    horizon = newest if oldest is None else oldest - 1
    if after < horizon:
        raise CursorTooOld(
            f"Events above the cursor {after} of webhook {webhook.id} are deleted: {horizon} is "
            "the last one that is gone. Read the datasets' changes, then go on from there.",
            horizon=horizon,
            newest=newest,
        )


def _begin_anew(session: Session, row: Webhook, now: datetime) -> None:
    """Forget failures, and let what waits be sent now."""
    row.failures, row.failing_since, row.not_before = 0, None, None
    webhook_messages.make_due(session, row.id, now)
