"""Messages that no worker could handle: showing, requeuing and dropping them."""

from collections.abc import Sequence
from typing import Any

from sisgate.access.policy import Action
from sisgate.domain.message_shape import outline
from sisgate.errors import InvalidState
from sisgate.gateway.core import Core
from sisgate.quarantine import BadMessage, Quarantine, refusal


class QuarantineService:
    """The messages in quarantine. Each action is audited first.

    Methods raise `UnknownMessage`, `BrokerUnavailable` and `DatabaseUnavailable`.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._quarantine = Quarantine(core.redis)

    def list(self) -> Sequence[BadMessage]:
        """Return the messages, newest first, without their content."""
        self._core.access.require(Action.LOOK)
        return self._quarantine.messages()

    def show(self, message_id: str) -> dict[str, Any]:
        """Return one message with the outline of its content, which holds no values."""
        self._core.access.require(Action.LOOK)
        message = self._quarantine.message(message_id)
        return {**message.as_dict(), "outline": outline(message.text)}

    def content(self, message_id: str, *, actor: str, reason: str | None = None) -> bytes:
        """Return the stored beginning of a message. For admins, as it may hold anything."""
        self._core.access.require(Action.ADMINISTER)
        message = self._quarantine.message(message_id)
        self._audit("read", message, actor, reason)
        return message.text

    def requeue(self, message_id: str, *, actor: str, reason: str | None = None) -> str:
        """Return a message to its queue, for instance after an upgrade; return the queue.

        Raises `InvalidState` for a message that was cut off or can never be handled.
        """
        self._core.access.require(Action.CONTROL)
        message = self._quarantine.message(message_id)
        if (why := refusal(message)) is not None:
            raise InvalidState(why)
        self._audit("requeue", message, actor, reason)
        self._quarantine.requeue(message)
        self._core.wakeups.signal_work(message.queue)
        return message.queue

    def drop(self, message_id: str, *, actor: str, reason: str | None = None) -> None:
        """Delete a message."""
        self._core.access.require(Action.CONTROL)
        message = self._quarantine.message(message_id)
        self._audit("drop", message, actor, reason)
        self._quarantine.drop(message)

    def _audit(self, act: str, message: BadMessage, actor: str, reason: str | None) -> None:
        self._core.audit(
            actor, f"quarantine:message:{act}", f"message/{message.id}", reason=reason,
            queue=message.queue, task=message.task, why=message.reason,
        )  # fmt: skip
