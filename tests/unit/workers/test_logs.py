"""Logs tell what happened, and nothing that is in a frame."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from workers import runtime

CANARY = "Ludmilla-secret-4711"


@pytest.fixture(autouse=True)
def _configured() -> Iterator[None]:
    """Configure as a worker does, for one test."""
    runtime.configure()
    yield
    structlog.reset_defaults()


def test_a_traceback_shows_no_local_variables(caplog: pytest.LogCaptureFixture) -> None:
    """A student or a secret in a frame stays there."""

    def fail(student: str) -> None:
        assert len(student) > 0
        raise RuntimeError("a failure without details")

    with caplog.at_level(logging.INFO):
        try:
            fail(CANARY)
        except RuntimeError:
            structlog.get_logger("test").exception("it_failed", provider="lincoln")
    assert "it_failed" in caplog.text
    assert "provider='lincoln'" in caplog.text
    assert "RuntimeError" in caplog.text
    assert CANARY not in caplog.text


def test_the_level_of_the_worker_holds(caplog: pytest.LogCaptureFixture) -> None:
    """With `-l WARNING` an event of level INFO is not written."""
    with caplog.at_level(logging.WARNING):
        structlog.get_logger("test").info("quiet_event")
    assert "quiet_event" not in caplog.text
