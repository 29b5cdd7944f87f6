"""Methods over HTTP that are twins of the gateway's: the signature is written once, there."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

Method = Callable[Concatenate[Any, P], R]


def twin(method: Method[P, R]) -> Callable[[Callable[..., R]], Method[P, R]]:
    """Return a decorator that gives a function the signature and docstring of a gateway's method.

    The function gets all arguments by name, also those that have their default, but no `actor`: the
    token names the caller.
    """
    signature = inspect.signature(method)

    def decorate(function: Callable[..., R]) -> Method[P, R]:
        @wraps(method)
        def call(part: Any, /, *positional: P.args, **named: P.kwargs) -> R:
            bound = signature.bind(part, *positional, **named)
            bound.apply_defaults()
            _, *given = bound.arguments.items()
            return function(part, **{name: value for name, value in given if name != "actor"})

        return call

    return decorate
