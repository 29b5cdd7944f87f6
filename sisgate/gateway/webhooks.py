"""Webhooks of apps: adding, changing, pausing, removing."""

import secrets
from collections.abc import Sequence
from datetime import timedelta

from sisgate.access.policy import Action
from sisgate.domain.validation import chosen
from sisgate.domain.webhook_events import EventType, WebhookState
from sisgate.errors import InvalidState, UsageError
from sisgate.gateway.webhook_deliveries import WebhookDeliveries, begin_anew
from sisgate.gateway.webhook_info import WebhookInfo
from sisgate.gateway.webhook_rows import facts_of, info_of
from sisgate.ledger import webhook_messages, webhooks
from sisgate.ledger.schema import Webhook
from sisgate.settings.webhooks import WebhookConfig
from sisgate.webhooks.signing import joined, new_secret, secret_context

OVERLAP = timedelta(days=1)
"""How long a replaced secret still signs."""

NOTE_LIMIT = 200


class Webhooks(WebhookDeliveries):
    """What apps do with their webhooks, and operators with those of all apps.

    An app sees its own. Each change is audited; `actor` names who does it, unless a token says.
    Methods raise `AccessDenied`, `UnknownWebhook` and `DatabaseUnavailable`.
    """

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
                begin_anew(session, row, now)
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
            begin_anew(session, row, now)
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

        Both sign during the `overlap`; none is left of any old one if that is zero. What an earlier
        overlap still lets sign goes on with them, until the later end: nobody may have the secret
        of between, as when the answer was lost.
        """
        principal, core = self._core.access.require_role(Action.ENQUEUE), self._core
        if overlap < timedelta(0):
            raise UsageError("The overlap must not be negative.")
        secret = new_secret()
        with core.database.write() as session:
            row, now = self._own(webhooks.lock(session, webhook_id)), core.clock.now()
            vault, context = core.context.vault, secret_context(row.id)
            if not overlap:
                row.sealed_former = row.former_until = None
            else:
                sealed = [row.sealed_secret]
                is_signing = row.former_until is not None and row.former_until > now
                if row.sealed_former is not None and is_signing:
                    sealed.append(row.sealed_former)
                former = [vault.open(each, context).decode() for each in sealed]
                row.sealed_former = vault.seal(joined(former).encode(), context)
                row.former_until = max(row.former_until or now, now + overlap)
            row.sealed_secret = vault.seal(secret.get_secret_value().encode(), context)
            row.changed_at = now
            self._audit(
                session, principal, "rotate_secret", row, actor, reason,
                overlap_seconds=round(overlap.total_seconds()),
            )  # fmt: skip
            return info_of(row, secret=secret)

    @property
    def _config(self) -> WebhookConfig:
        return self._core.configuration.current().webhooks

    def _check(
        self, url: str | None, providers: Sequence[str], note: str | None, *, every_app: bool
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


def _kinds(events: Sequence[str]) -> list[str]:
    kinds = sorted({EventType(chosen("event", EventType, each)).value for each in events})
    if not kinds:
        raise UsageError(f"A webhook needs an event: {', '.join(EventType)}.")
    return kinds
