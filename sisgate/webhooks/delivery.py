"""Delivering one message: claim it under a lease, send it, note what came of it."""

import random
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import SecretStr
from sqlalchemy.orm import Session

from sisgate.audit import log as audit
from sisgate.clock import Clock
from sisgate.credentials.vault import Vault
from sisgate.domain.latencies import LatencySketch
from sisgate.domain.timings import Timed
from sisgate.domain.webhook_events import MessageState, Topic, WebhookState
from sisgate.errors import CredentialError
from sisgate.ledger import timings, webhook_claims, webhook_messages, webhooks
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Webhook, WebhookAttempt, WebhookMessage
from sisgate.settings.webhooks import WebhookConfig
from sisgate.webhooks.outcomes import Consequence, Health, Patience, Result, consequence_of
from sisgate.webhooks.rights import may_see, owners_of
from sisgate.webhooks.sending import CONNECT_SECONDS, MOST_ADDRESSES, Resolve, Sender
from sisgate.webhooks.signing import body_of, parted, secret_context, signed_headers

MARGIN_SECONDS = 15.0
"""How much longer a lease is than an attempt may take: for resolving the name and writing."""

MOST_DROPPED = 100
"""Messages that one transaction drops: on SQLite all other writers wait for it."""

ACTOR = "worker"
USER_AGENT = "sisgate-webhooks/1"


@dataclass(frozen=True)
class Claimed:
    """A message that this worker is to send, with all that it takes."""

    webhook: Webhook
    message: WebhookMessage
    secrets: tuple[SecretStr, ...]
    deadline: float


class Deliveries:
    """Delivers what is due. Safe to share between threads and processes.

    `gate` is held while the ledger is used, and not while a receiver is waited for. `resolve`
    replaces the resolver, and `draw` the random numbers of the jitter, in tests.
    """

    def __init__(
        self,
        database: Database,
        vault: Callable[[], Vault],
        clock: Clock,
        *,
        gate: AbstractContextManager[None] | None = None,
        resolve: Resolve | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self._gate = gate or nullcontext()
        self._resolve = resolve
        self._draw = draw

    def has_due(self) -> bool:
        """Return whether there may be something to deliver now.

        Raises `CredentialError` if so, and this process has no master key: another one may.
        """
        with self._database.read() as session:
            has_due = webhook_claims.has_due(session, self._clock.now())
        if has_due:
            self._vault()
        return has_due

    def deliver_one(self, config: WebhookConfig) -> Result | None:
        """Deliver the message that is due longest; None where there is none.

        What fails is a result, too. Raises `DatabaseUnavailable`; then the message is sent again
        after its lease.
        """
        claimed = self.claim(config)
        return self.finish(claimed, config) if claimed is not None else None

    def finish(self, claimed: Claimed, config: WebhookConfig) -> Result:
        """Send a claimed message and note what came of it."""
        result = self._send(claimed, config)
        self._note(claimed, result, config)
        return result

    def claim(self, config: WebhookConfig) -> Claimed | None:
        """Claim the message that is due longest, until its lease ends; None where there is none."""
        longest = config.timeout_seconds + CONNECT_SECONDS * MOST_ADDRESSES
        lease = timedelta(seconds=longest + MARGIN_SECONDS)
        begun = self._clock.monotonic()
        with self._gate, self._database.read() as session:
            # A claim takes SQLite's one write lock, also where it finds nothing.
            if not webhook_claims.has_due(session, self._clock.now()):
                return None
        with self._gate, self._database.write() as session:
            now = self._clock.now()
            found = self._next(session, now, lease)
        if found is None:
            return None
        webhook, message = found
        secrets = self._secrets(webhook, now)
        return Claimed(webhook, message, secrets, begun + MARGIN_SECONDS)

    def _next(
        self, session: Session, now: datetime, lease: timedelta
    ) -> tuple[Webhook, WebhookMessage] | None:
        """Claim the next message that its webhook may still be told; None after `MOST_DROPPED`."""
        for _ in range(MOST_DROPPED):
            found = webhook_claims.claim(session, now, lease)
            if found is None:
                return None
            session.flush()
            if _may_still_hear(session, *found, now):
                return found
            webhook_claims.settle(session, found[1], MessageState.DROPPED, now)
        return None

    def _secrets(self, webhook: Webhook, now: datetime) -> tuple[SecretStr, ...]:
        sealed = [webhook.sealed_secret]
        if webhook.sealed_former is not None and (webhook.former_until or now) > now:
            sealed.append(webhook.sealed_former)
        context = secret_context(webhook.id)
        try:
            texts = [self._vault().open(each, context).decode() for each in sealed]
        except CredentialError:
            return ()
        return tuple(SecretStr(each) for text in texts for each in parted(text))

    def _send(self, claimed: Claimed, config: WebhookConfig) -> Result:
        if not claimed.secrets:
            return Result(error="Not sent: its secret cannot be opened with the master key here.")
        message = claimed.message
        body = body_of(message.type, message.at, message.data)
        headers = {
            "content-type": "application/json",
            "user-agent": USER_AGENT,
            **signed_headers(message.event_id, self._clock.now(), body, claimed.secrets),
        }
        sender = Sender(
            config.rules, self._clock, config.timeout_seconds, config.ca_file, self._resolve
        )
        return sender.send(str(claimed.webhook.url), body, headers, deadline=claimed.deadline)

    def _note(self, claimed: Claimed, result: Result, config: WebhookConfig) -> None:
        with self._gate, self._database.write() as session:
            now = self._clock.now()
            webhook, message = webhooks.lock(session, claimed.webhook.id), claimed.message
            consequence = consequence_of(
                result,
                attempt=message.attempt,
                due_since=message.due_since,
                health=Health(webhook.failures, webhook.failing_since, webhook.not_before),
                patience=Patience(config.give_up_after, config.pause_after),
                now=now,
                draw=self._draw(),
            )
            _log(session, message, result, now)
            if webhook_claims.settle(
                session, message, consequence.message, now, not_before=consequence.not_before
            ):
                _apply(session, webhook, result, consequence, now)
            # Last, because all deliveries of the fleet queue for this row until the commit.
            took = LatencySketch([float(result.elapsed_ms)])
            session.flush()
            timings.add(session, {(Timed.WEBHOOK, result.kind.value): took})


def _may_still_hear(
    session: Session, webhook: Webhook, message: WebhookMessage, now: datetime
) -> bool:
    """Whether the owner's tokens still cover what is told; they may have been revoked since."""
    if webhook.owner is None:
        return True
    told = webhook_messages.message_of(message)
    owners = owners_of(session, [webhook], now)
    return any(may_see(who, told) for who in owners[webhook.owner])


def _log(session: Session, message: WebhookMessage, result: Result, now: datetime) -> None:
    session.add(
        WebhookAttempt(
            webhook_id=message.webhook_id, number=message.number, attempt=message.attempt,
            at=now, elapsed_ms=result.elapsed_ms, status=result.status, error=result.error,
            address=result.address,
        )
    )  # fmt: skip


def _apply(
    session: Session, webhook: Webhook, result: Result, consequence: Consequence, now: datetime
) -> None:
    health = consequence.health
    webhook.failures, webhook.failing_since = health.failures, health.failing_since
    webhook.not_before, webhook.last_error = health.not_before, result.error
    if result.is_delivered:
        webhook.delivered_at = now
    if consequence.webhook is WebhookState.ACTIVE or webhook.state != WebhookState.ACTIVE:
        return
    webhook.state, webhook.changed_at = consequence.webhook.value, now
    if consequence.webhook is WebhookState.ENDED:
        webhook.reason = "The receiver responded 410: it wants nothing more."
        webhook_messages.drop_unsent(session, webhook.id, now)
        webhooks.set_interests(session, webhook)
        act = "end"
    else:
        webhook.reason = (
            f"Every attempt has failed since {health.failing_since:%Y-%m-%d %H:%M} UTC."
        )
        data = {"webhook": webhook.id, "failures": health.failures, "error": result.error}
        webhooks.tell(session, Topic.WEBHOOK, now, app=webhook.app, state="paused", data=data)
        act = "pause"
    audit.record(
        session, now, actor=ACTOR, action=f"webhooks:webhook:{act}",
        subject=f"webhook/{webhook.id}", reason=webhook.reason, app=webhook.app,
        failures=health.failures,
    )  # fmt: skip
