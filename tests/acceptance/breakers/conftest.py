"""A provider that can be down."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from testbed.recorder import FailingRecorder


@pytest.fixture
def endpoints() -> str:
    """The provider's endpoints, a letter each."""
    return "a"


@pytest.fixture
def recorder(endpoints: str) -> Iterator[FailingRecorder]:
    """The provider of this test."""
    server = FailingRecorder(endpoints)
    yield server
    server.stop()
