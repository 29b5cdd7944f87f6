"""Starting a process: imports on first use, without garbage collection; names of missing extras."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Generic, Self, TypeVar, overload

from sisgate.errors import ConfigurationError


@contextmanager
def gc_paused() -> Iterator[None]:
    """Disable the garbage collector while modules load.

    Modules create some 100,000 permanent objects. Scanning them repeatedly takes a third of the
    time of creating a gateway.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def gc_frozen_imports() -> Iterator[None]:
    """Disable the garbage collector while modules load, and exempt all objects if any was loaded.

    For commands and workers, whose process is ours: later collections would scan the modules too,
    which in a worker's child processes would copy their memory.
    """
    before = len(sys.modules)
    with gc_paused():
        try:
            yield
        finally:
            if len(sys.modules) > before:
                gc.freeze()


def gc_seldom() -> None:
    """Collect garbage seldom, and exempt what is there: for services, once they have started.

    What a page reads of thousands of providers are 100,000 objects, none of which is garbage before
    it is sent. To scan them again and again took half of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)


def names_from(package: str, modules: Mapping[str, str]) -> Callable[[str], object]:
    """Return a `__getattr__` for a package that imports each name on first access (PEP 562).

    `modules` gives the names of each module. Who imports one name, or a module of the package, then
    does not load all the others.
    """
    places = {name: module for module, names in modules.items() for name in names.split()}

    def get(name: str) -> object:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(places[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return get


T_co = TypeVar("T_co", covariant=True)


class LazyPart(Generic[T_co]):
    """An attribute that is an object of a class, imported and created on first use, then kept.

    `place` is `module:Class`; the class is called with the attributes that `needs` names. Creating
    one changes nothing, so threads that do it at the same time all take the first.
    """

    def __init__(self, place: str, *needs: str) -> None:
        self._place = place
        self._needs = needs

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, whole: None, owner: type) -> Self: ...

    @overload
    def __get__(self, whole: object, owner: type) -> T_co: ...

    def __get__(self, whole: object | None, owner: type) -> Self | T_co:
        if whole is None:
            return self
        module, _, kind = self._place.partition(":")
        create = getattr(import_module(module), kind)
        made = create(*(getattr(whole, name) for name in self._needs))
        part: T_co = vars(whole).setdefault(self._name, made)
        return part


EXTRAS = {
    "cli": ("typer", "rich", "tomlkit"),
    "worker": ("requests_oauthlib", "pybreaker", "alembic", "flower"),
    "sandbox": ("fastapi", "uvicorn", "faker", "python_multipart"),
    "postgres": ("psycopg",),
    "fastapi": ("fastapi",),
    "testing": ("fakeredis", "lupa"),
    "web": ("fastapi", "uvicorn", "limits"),
    "otel": ("opentelemetry",),
    "alerts": ("apprise",),
}
"""The modules of each extra. `embedded` is checked where the Redis server is looked up."""


def extra_of(module: str | None) -> str | None:
    """Return the extra that installs a module, or None.

    >>> extra_of("pybreaker.states"), extra_of("json")
    ('worker', None)
    """
    top = (module or "").partition(".")[0]
    return next((extra for extra, modules in EXTRAS.items() if top in modules), None)


def missing_extra(extra: str, what: str) -> ConfigurationError:
    """Return the error of `what` where an extra is not installed."""
    return ConfigurationError(
        f"{what} needs the extra '{extra}' of sisgate, which is not installed. "
        f"Install it with: pip install 'sisgate[{extra}]' "
        "('sisgate[all]' installs everything that one machine needs)."
    )


def has_extra(extra: str) -> bool:
    """Return whether every module of an extra can be imported."""
    return all(find_spec(module) is not None for module in EXTRAS[extra])


def require_extras(what: str, *extras: str) -> None:
    """Raise `ConfigurationError` unless every module of `extras` can be imported."""
    for extra in extras:
        if not has_extra(extra):
            raise missing_extra(extra, what)
