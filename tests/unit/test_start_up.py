"""Nothing is collected while modules load, and what they made is left alone afterwards."""

import gc
import subprocess
import sys
from collections.abc import Iterator

import pytest

from sisgate.start_up import gc_frozen_imports

PROGRAM = """
import gc, json
collected = []
gc.callbacks.append(lambda _, info: collected.append(info["generation"]))
from importlib import import_module
import_module({module!r})
print(json.dumps([2 not in collected, gc.isenabled(), gc.get_freeze_count() > 10_000]))
"""


@pytest.fixture
def collector() -> Iterator[None]:
    """The collector as it was: on, with nothing frozen by this test."""
    yield
    gc.unfreeze()
    gc.enable()


@pytest.mark.usefixtures("collector")
def test_what_was_off_stays_off() -> None:
    """Who has turned the collector off has a reason."""
    gc.disable()
    with gc_frozen_imports():
        pass
    assert not gc.isenabled()


@pytest.mark.usefixtures("collector")
def test_it_is_on_again_after_an_error() -> None:
    """A module that does not load ends the process or is caught; either way garbage is garbage."""
    with pytest.raises(ImportError), gc_frozen_imports():
        raise ImportError
    assert gc.isenabled()


@pytest.mark.usefixtures("collector")
def test_who_loads_nothing_keeps_no_garbage() -> None:
    """A process that runs many commands would grow with each."""
    gc.unfreeze()
    with gc_frozen_imports():
        pass
    assert gc.get_freeze_count() == 0


@pytest.mark.parametrize("module", ["sisgate.cli.main", "workers"])
def test_commands_and_workers_load_so(module: str) -> None:
    """What `sisgate` and `celery -A workers` import makes no full collection."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(module=module)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "[true, true, true]"
