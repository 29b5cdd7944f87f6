"""Answers that no service of this version gives, as one error in place of many."""

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

from sisgate.errors import AnswerInvalid

T = TypeVar("T")

UNREADABLE = (
    ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError,
)  # fmt: skip
"""What reading a value of another shape than expected raises."""

_of_thread = threading.local()


def note_answer() -> None:
    """Note that the service has answered this thread: what fails now may be the answer's fault."""
    _of_thread.answers = _answers() + 1


def unreadable(error: Exception) -> AnswerInvalid:
    """Return the error of an answer. It quotes nothing, as answers hold data of students."""
    return AnswerInvalid(
        f"The service answered what this version of sisgate cannot read ({type(error).__name__}). "
        "Are both of one version?"
    )


def reads_answers(kind: type[T]) -> type[T]:
    """Decorate a class whose public methods ask the service: they raise `AnswerInvalid`.

    Errors before the first answer are mistakes of the caller, and stay what they are.
    """
    for name, value in list(vars(kind).items()):
        if not name.startswith("_") and inspect.isfunction(value):
            is_stream = inspect.isgeneratorfunction(value)
            setattr(kind, name, _streaming(value) if is_stream else _reading()(value))
    return kind


def _answers() -> int:
    return getattr(_of_thread, "answers", 0)


@contextmanager
def _reading() -> Iterator[None]:
    before = _answers()
    try:
        yield
    except UNREADABLE as error:
        if _answers() == before:
            raise
        raise unreadable(error) from None


def _streaming(function: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    @wraps(function)
    def stream(*positional: Any, **named: Any) -> Iterator[Any]:
        with _reading():
            yield from function(*positional, **named)

    return stream
