"""The house rules find what they are meant to find, and nothing else."""

import ast

import pytest

from tests.lint.house_rules import (
    FUNCTION_LINES,
    check,
    migrations_of_one_number,
    public_classes,
    shared_names,
)


@pytest.mark.parametrize(
    "source", ["import time\ntime.monotonic()\n", "from time import monotonic\n"]
)
def test_monotonic_clock_outside_the_clock_module_is_an_error(source: str) -> None:
    """Both ways to get at the clock are found."""
    errors, _ = check("sisgate/routing/health.py", source)
    assert len(errors) == 1


@pytest.mark.parametrize("path", ["sisgate/clock.py", "sisgate/sandbox/faults.py"])
def test_clock_and_sandbox_may_read_the_monotonic_clock(path: str) -> None:
    """They are the two places that are allowed to."""
    assert check(path, "import time\ntime.monotonic()\n") == ([], [])


@pytest.mark.parametrize(
    "source",
    [
        "import sqlalchemy\n",
        "import sqlalchemy.orm as orm\n",
        "from sqlalchemy import select\n",
        "from sqlalchemy.orm import Session, aliased\n",
        "def f():\n    from sqlalchemy.dialects import postgresql\n",
    ],
)
def test_a_query_outside_the_ledger_is_an_error(source: str) -> None:
    """However SQLAlchemy is imported, and wherever in the module."""
    assert len(check("sisgate/gateway/jobs.py", source)[0]) == 1
    assert len(check("workers/calls/persist.py", source)[0]) == 1
    assert check("sisgate/ledger/jobs.py", source) == ([], [])


def test_a_session_may_be_passed_on() -> None:
    """It is the type of a transaction; what is done with it is a function of the ledger."""
    assert check("sisgate/gateway/jobs.py", "from sqlalchemy.orm import Session\n") == ([], [])


def test_long_function_is_a_hint_and_not_an_error() -> None:
    """Its docstring does not count."""
    statements = "    x = 1\n" * (FUNCTION_LINES + 1)
    errors, hints = check("workers/app.py", f'def f():\n    """Doc."""\n{statements}')
    assert errors == []
    assert len(hints) == 1
    assert "f has 41 lines" in hints[0]


def test_two_public_classes_of_one_name_are_an_error_at_both_places() -> None:
    """Private and nested classes may be called as they like."""
    sources = {"a.py": "class Order: ...\nclass _Row: ...\n", "b.py": "x = 1\nclass Order: ...\n"}
    places: dict[str, list[str]] = {}
    for path, source in sources.items():
        for line, name in public_classes(ast.parse(source)):
            places.setdefault(name, []).append(f"{path}:{line}")
    errors = shared_names(places, allowed={})
    assert [error.split(": error:")[0] for error in errors] == ["a.py:1", "b.py:2"]


def test_the_list_of_shared_names_may_only_become_shorter() -> None:
    """What is shared no longer must leave the list."""
    assert shared_names({"Job": ["a.py:1", "b.py:1"]}, allowed={"Job": 2}) == []
    (error,) = shared_names({"Job": ["a.py:1"]}, allowed={"Job": 2})
    assert "shorten SHARED_NAMES" in error


def test_two_migrations_of_one_number_are_an_error() -> None:
    """Two branches each added the next one; the later one moves behind the other."""
    names = ["0001_jobs.py", "0002_keys.py", "0002_calls.py"]
    (error,) = migrations_of_one_number(names)
    assert "0002_keys.py:1: error: 0002_calls.py is migration 0002 already" in error
    assert migrations_of_one_number(names[:2]) == []
