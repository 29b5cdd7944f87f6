"""What redis-py's errors mean in our error tree: the one translation.

A client made by `sisgate.redis.client` raises nothing else. kombu has clients of its own, whose
errors reach us as redis-py's own `RedisError`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import AuthenticationError, NoScriptError, ResponseError
from redis.exceptions import RedisError as RedisError  # noqa: PLC0414  # what kombu lets through

from sisgate.domain.network import why_unreachable
from sisgate.errors import BrokerUnavailable

REFUSALS: tuple[type[Exception], ...] = (ResponseError, BrokerUnavailable)
"""Redis can be connected to and does not do what it was asked, now or at the next attempt."""

_WRITE_REFUSALS = {
    "OutOfMemoryError": "it is at its memory limit",
    "ReadOnlyError": "it is a replica",
    "MISCONF": "it cannot save to its disk",
    "NOREPLICAS": "too few of its replicas can be reached",
}
"""By the class that redis-py has for an answer, else by the first word of the answer."""


def unavailable(error: RedisError) -> BrokerUnavailable:
    """Return our error for one of redis-py's; `cause` in its detail names the class.

    >>> from redis.exceptions import OutOfMemoryError, TimeoutError
    >>> unavailable(TimeoutError("10.0.0.1:6379 …")).message
    'Redis cannot be reached (TimeoutError).'
    >>> unavailable(OutOfMemoryError("command not allowed")).message
    'Redis refused a command (it is at its memory limit).'
    """
    if isinstance(error, AuthenticationError):
        message = "Redis refuses the password."
    elif isinstance(error, ResponseError):
        message = f"Redis refused a command ({_refusal(error) or type(error).__name__})."
    else:
        message = f"Redis cannot be reached ({why_unreachable(error)})."
    translated = BrokerUnavailable(message, cause=type(error).__name__)
    translated.__cause__ = error
    return translated


@contextmanager
def translated() -> Iterator[None]:
    """Raise `BrokerUnavailable` for redis-py's errors in the body.

    `NoScriptError` passes: it is an answer to who runs a script by its hash.
    """
    try:
        yield
    except NoScriptError:
        raise
    except RedisError as error:
        raise unavailable(error) from error


def refusal_of_writes(error: BrokerUnavailable) -> str | None:
    """Return why Redis answers but takes no writes (memory, a replica); None for anything else.

    Raises the error where Redis did not answer at all.
    """
    if not isinstance(error.__cause__, ResponseError):
        raise error
    return _refusal(error.__cause__)


def is_wrong_password(error: BrokerUnavailable) -> bool:
    """Whether Redis answered that the user name or password is wrong."""
    return isinstance(error.__cause__, AuthenticationError)


def _refusal(error: ResponseError) -> str | None:
    first_word = str(error).split(" ", 1)[0]
    return _WRITE_REFUSALS.get(type(error).__name__) or _WRITE_REFUSALS.get(first_word)
