"""What apps import from sisgate: these names, and little else with them."""

from __future__ import annotations

import subprocess
import sys

import pytest

import sisgate
from sisgate import errors

NAMES = ["Answer", "Gateway", "Job", "JobStatus", "Plan", "SisgateError"]
HEAVY = [
    "alembic",
    "fastapi",
    "faker",
    "flower",
    "orjson",
    "psycopg",
    "pybreaker",
    "requests",
    "rich",
    "typer",
    "uvicorn",
]
GATEWAY = ["celery", "redis", "sqlalchemy"]


def test_the_public_names_are_these() -> None:
    """A name that comes or goes is a decision, made here as well."""
    assert sorted(sisgate.__all__) == NAMES
    assert all(hasattr(sisgate, name) for name in sisgate.__all__)


@pytest.mark.parametrize(
    ("what", "heavy"),
    [("sisgate.Gateway", HEAVY), ("sisgate.SisgateError", [*HEAVY, *GATEWAY])],
    ids=["gateway", "error"],
)
def test_importing_sisgate_loads_nothing_heavy(what: str, heavy: list[str]) -> None:
    """An app that enqueues needs no web server, worker, CLI or sandbox, and these no gateway."""
    program = f"import sys, sisgate; {what}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"


def test_every_error_has_a_code_of_its_own() -> None:
    """Apps and logs tell errors apart by it."""
    classes = [c for c in vars(errors).values() if isinstance(c, type)]
    codes = [c.code for c in classes if issubclass(c, errors.SisgateError)]
    assert len(codes) == len(set(codes)) > 20
