"""Which webhook is told of which event: what it asks for, and what its app may see."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.orm import Session

from sisgate.access.policy import Action, Principal, covers_some, decide
from sisgate.access.tokens import principal_of, why_invalid
from sisgate.ledger import access
from sisgate.ledger.schema import Webhook
from sisgate.ledger.webhook_messages import NewMessage

OF_A_JOB = ("job", "app")
"""What of an event is left out for who may not see the job."""


@dataclass(frozen=True)
class News:
    """An event before anybody is told.

    `app` is whose doing it was, None if nobody's. What is `private` is for that app, and for
    webhooks that hear of every app.
    """

    message: NewMessage
    app: str | None = None
    private: bool = False


Owners = Mapping[str, Sequence[Principal]]
"""By name of a webhook's owner, those whom its valid tokens stand for."""


def owners_of(session: Session, webhooks: Iterable[Webhook], now: datetime) -> Owners:
    """Return the owners of webhooks, with the tokens that are valid now."""
    names = {row.owner for row in webhooks if row.owner is not None}
    found: dict[str, list[Principal]] = {name: [] for name in names}
    if names:
        for token in access.tokens_of(session, names):
            if why_invalid(token, now) is None:
                found[token.name].append(principal_of(token))
    return found


def told(webhook: Webhook, news: News, owners: Owners) -> NewMessage | None:
    """Return what a webhook is told of an event; None for nothing."""
    message = news.message
    if message.type not in webhook.events or _is_elsewhere(webhook, message):
        return None
    is_own = news.app in {None, webhook.app}
    if news.private and not (is_own or webhook.every_app):
        return None
    if webhook.owner is None:
        return message
    able = [who for who in owners.get(webhook.owner, ()) if may_see(who, message)]
    if not able:
        return None
    if any(who.sees_all_jobs for who in able):
        return message
    if is_own:
        return _renamed(message, able[0])
    if news.private:
        return None
    data = {name: value for name, value in message.data.items() if name not in OF_A_JOB}
    return replace(message, data=data, job_id=None)


def _renamed(message: NewMessage, who: Principal) -> NewMessage:
    """Return an event in which an app at fault is named as for a caller."""
    kind, name = _culprit(message)
    if kind != "app":
        return message
    return replace(message, data={**message.data, "culprit": f"{kind} {who.name_of(name)}"})


def _culprit(message: NewMessage) -> tuple[str, str]:
    kind, _, name = str(message.data.get("culprit", "")).partition(" ")
    return kind, name


def may_see(principal: Principal, message: NewMessage) -> bool:
    """Return whether a caller may be told of a dataset, or of a provider as a whole.

    That a provider takes no calls concerns whoever may ask for any part of it, and what fails at an
    app itself that app, and who sees all.
    """
    if message.provider is None:
        kind, name = _culprit(message)
        return kind != "app" or principal.is_told_of(name)
    if message.resource is None and message.job_id is None:
        return covers_some(principal, message.provider)
    return decide(principal, Action.LOOK, message.provider, message.resource).allowed


def _is_elsewhere(webhook: Webhook, message: NewMessage) -> bool:
    chosen = webhook.providers
    return bool(chosen) and message.provider is not None and message.provider not in (chosen or ())
