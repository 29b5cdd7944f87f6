"""The workers' code, beside a package of that name which the app may have itself.

In an installed wheel it is not on the path (docs/decisions/0011), and its package builds the
Celery app when it is imported, which a test has no use for.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import sisgate

NAME = "workers"


class WorkerCode(NamedTuple):
    """The modules that plan, make and recover calls."""

    runtime: Any
    execute: Any
    planning: Any
    reconciler: Any


@cache
def worker_code() -> WorkerCode:
    """Return the modules, imported once; whatever is called `workers` here stays what it is."""
    with _our_package():
        return WorkerCode(
            import_module("workers.runtime"),
            import_module("workers.calls.execute"),
            import_module("workers.jobs.planning"),
            import_module("workers.maintenance.reconciler"),
        )


@contextmanager
def _our_package() -> Iterator[None]:
    folder = _folder()
    present = sys.modules.get(NAME)
    if present is not None and str(folder) in [str(each) for each in present.__path__]:
        yield
        return
    hidden = {name: sys.modules.pop(name) for name in _loaded()}
    package = ModuleType(NAME)
    package.__path__ = [str(folder)]
    sys.modules[NAME] = package
    try:
        yield
    finally:
        for name in _loaded():
            del sys.modules[name]
        sys.modules.update(hidden)


def _loaded() -> list[str]:
    return [name for name in sys.modules if name == NAME or name.startswith(f"{NAME}.")]


def _folder() -> Path:
    package = Path(sisgate.__file__).parent
    installed = package / "_fleet" / NAME
    return installed if installed.is_dir() else package.parent / NAME
