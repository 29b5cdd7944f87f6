"""A plain secret in memory, in a type that does not show it."""

import hmac
import traceback
from typing import NoReturn, Protocol, Self

MASK = "Secret(hidden)"


class HoldsSecret(Protocol):
    """Anything with `get_secret_value`: `Secret`, and pydantic's `SecretStr`."""

    def get_secret_value(self) -> str:
        """Return the plain text."""
        ...


class Secret:
    """A text whose repr, str, format, copies and JSON show nothing, and that cannot be pickled.

    Only `get_secret_value` returns it; call it where the text leaves, and keep no local of it.

    >>> f"{Secret('hunter2')}", repr([Secret("hunter2")])
    ('Secret(hidden)', '[Secret(hidden)]')
    """

    __slots__ = ("_plain",)

    def __init__(self, plain: str) -> None:
        self._plain = plain

    def get_secret_value(self) -> str:
        """Return the plain text."""
        return self._plain

    def __repr__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._plain.encode(), other._plain.encode())

    __hash__ = None  # type: ignore[assignment]  # nobody needs a set of secrets

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    def __getstate__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled")

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError("a secret cannot be pickled")


def forget_locals(error: BaseException) -> None:
    """Clear the locals of all frames that an error passed through and that have ended.

    A library's frames hold plain headers and bodies, and error reporters record locals.
    """
    seen: BaseException | None = error
    while seen is not None:
        traceback.clear_frames(seen.__traceback__)
        seen = seen.__cause__ or seen.__context__
