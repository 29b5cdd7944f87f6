"""A provider that can be down."""

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
