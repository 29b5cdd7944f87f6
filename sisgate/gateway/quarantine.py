"""What a person sees of messages that no worker could take, and does about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sisgate.access.policy import Action
from sisgate.audit import log as audit
from sisgate.domain.message_shape import outline
from sisgate.errors import InvalidState
from sisgate.gateway.core import Core
from sisgate.quarantine import BadMessage, Quarantine, refusal


class QuarantineService:
    """The messages in quarantine. What is done to one is in the audit log before it is done.

    Methods raise `UnknownMessage`, `BrokerUnavailable` and `DatabaseUnavailable`.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._quarantine = Quarantine(core.redis)

    def list(self) -> Sequence[BadMessage]:
        """Return the messages, the newest first. None of their content is told."""
        self._core.access.require(Action.LOOK)
        return self._quarantine.messages()

    def show(self, message_id: str) -> dict[str, Any]:
        """Return what is told of one, with the outline of its content, which holds no values."""
        self._core.access.require(Action.LOOK)
        message = self._quarantine.message(message_id)
        return {**message.as_dict(), "outline": outline(message.text)}

    def content(self, message_id: str, *, actor: str, reason: str | None = None) -> bytes:
        """Return the kept beginning of a message, which may hold anything. For admins."""
        self._core.access.require(Action.ADMINISTER)
        message = self._quarantine.message(message_id)
        self._record("read", message, actor, reason)
        return message.text

    def requeue(self, message_id: str, *, actor: str, reason: str | None = None) -> str:
        """Put a message back into its queue and return the queue, for instance after an upgrade.

        Raises `InvalidState` for a message that was cut short or can never be taken.
        """
        self._core.access.require(Action.CONTROL)
        message = self._quarantine.message(message_id)
        if (why := refusal(message)) is not None:
            raise InvalidState(why)
        self._record("requeue", message, actor, reason)
        self._quarantine.requeue(message)
        self._core.wakeups.signal_work(message.queue)
        return message.queue

    def drop(self, message_id: str, *, actor: str, reason: str | None = None) -> None:
        """Forget a message."""
        self._core.access.require(Action.CONTROL)
        message = self._quarantine.message(message_id)
        self._record("drop", message, actor, reason)
        self._quarantine.drop(message)

    def _record(self, what: str, message: BadMessage, actor: str, reason: str | None) -> None:
        principal = self._core.access.principal()
        with self._core.database.write() as session:
            audit.record(
                session,
                self._core.clock.now(),
                actor=principal.token_actor or actor,
                action=f"quarantine:message:{what}",
                subject=f"message/{message.id}",
                reason=reason,
                queue=message.queue,
                task=message.task,
                why=message.reason,
            )
