"""The translation of redis-py's errors into our error tree.

A client of `sisgate.redis.client` raises nothing else. kombu has its own clients, whose errors
reach us as redis-py's `RedisError`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import AuthenticationError, NoScriptError, ResponseError
from redis.exceptions import RedisError as RedisError  # noqa: PLC0414  # what kombu lets through

from sisgate.domain.network import why_unreachable
from sisgate.errors import BrokerUnavailable

REFUSALS: tuple[type[Exception], ...] = (ResponseError, BrokerUnavailable)
"""Redis accepts connections but refuses a command, now and at the next attempt."""

_WRITE_REFUSALS = {
    "OutOfMemoryError": "it is at its memory limit",
    "ReadOnlyError": "it is a replica",
    "MISCONF": "it cannot save to its disk",
    "NOREPLICAS": "too few of its replicas can be reached",
}
"""By redis-py's class for the reply, else by the reply's first word."""


def unavailable(error: RedisError) -> BrokerUnavailable:
    """Return our error for one of redis-py's; `cause` in its detail is the class name.

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

    `NoScriptError` passes: it is for the code that runs a script by its hash.
    """
    try:
        yield
    except NoScriptError:
        raise
    except RedisError as error:
        raise unavailable(error) from error


def refusal_of_writes(error: BrokerUnavailable) -> str | None:
    """Return why Redis responds but refuses writes (memory, a replica); None for any other reason.

    Raises the error if Redis did not respond at all.
    """
    if not isinstance(error.__cause__, ResponseError):
        raise error
    return _refusal(error.__cause__)


def is_wrong_password(error: BrokerUnavailable) -> bool:
    """Whether Redis refused the user name or password."""
    return isinstance(error.__cause__, AuthenticationError)


def _refusal(error: ResponseError) -> str | None:
    first_word = str(error).split(" ", 1)[0]
    return _WRITE_REFUSALS.get(type(error).__name__) or _WRITE_REFUSALS.get(first_word)
