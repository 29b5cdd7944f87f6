"""What webhooks were sent and what became of it: testing, sending again, reading events."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from sisgate.access.policy import Action, Principal
from sisgate.audit import log as audit
from sisgate.domain.validation import chosen
from sisgate.domain.webhook_events import TEST_EVENT, MessageState, WebhookState
from sisgate.errors import CursorAhead, CursorTooOld, InvalidState, UsageError
from sisgate.gateway.core import Core
from sisgate.gateway.webhook_info import WebhookDelivery, WebhookEvents
from sisgate.gateway.webhook_rows import delivery_of, event_of
from sisgate.ledger import webhook_messages, webhooks
from sisgate.ledger.schema import Webhook, WebhookMessage
from sisgate.ledger.webhook_messages import NewMessage
from sisgate.webhooks.rights import may_see

MOST_EVENTS = 1000


class WebhookDeliveries:
    """The events of webhooks that a caller may see. An app sees those of its own."""

    def __init__(self, core: Core) -> None:
        self._core = core

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
                begin_anew(session, row, now)
            data = {"webhook": row.id}
            test = NewMessage(f"evt_{uuid.uuid4().hex}", TEST_EVENT, now, data)
            webhook_messages.append(session, row, [test], now)
            self._audit(session, principal, "test", row, actor, None, number=row.last_number)
            session.flush()
            return delivery_of(row, webhook_messages.get(session, row.id, row.last_number))

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
            webhook = self._own(webhooks.get(session, webhook_id))
            rows = webhook_messages.newest(
                session, webhook_id, limit=limit, before=before, state=wanted
            )
            rows = [row for row in rows if self._may_see(row)]
            last = webhook_messages.last_attempts(session, rows)
            return [delivery_of(webhook, row, last.get(row.number)) for row in rows]

    def delivery(self, webhook_id: str, number: int) -> WebhookDelivery:
        """Return one event of a webhook with all attempts; `UnknownMessage` if there is none."""
        self._core.access.require_role(Action.ENQUEUE)
        with self._core.database.read() as session:
            webhook = self._own(webhooks.get(session, webhook_id))
            row = webhook_messages.get(session, webhook_id, number)
            if not self._may_see(row):
                raise webhook_messages.unknown(webhook_id, number)
            tries = webhook_messages.attempts_of(session, webhook_id, number)
            return delivery_of(webhook, row, tries[-1] if tries else None, tries)

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
        return may_see(self._core.access.principal(), webhook_messages.message_of(row))

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


def begin_anew(session: Session, row: Webhook, now: datetime) -> None:
    """Forget failures, and let what waits be sent now."""
    row.failures, row.failing_since, row.not_before = 0, None, None
    webhook_messages.make_due(session, row.id, now)
