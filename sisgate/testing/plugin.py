"""The pytest plug-in: fixtures with a gateway. Loaded in every run, so it imports next to nothing.

A test of an app that gets its gateway handed in takes `gateway`; one that also says what providers
answer, moves the time or works jobs off takes `sisgate_double`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sisgate.gateway import Gateway
    from sisgate.testing.double import GatewayDouble


@pytest.fixture(scope="session")
def sisgate_configuration() -> Mapping[str, Any] | Path | None:
    """The fleet's configuration: a document, or a file. Override it to have other providers."""
    return None


@pytest.fixture
def sisgate_double(
    sisgate_configuration: Mapping[str, Any] | Path | None,
) -> Iterator[GatewayDouble]:
    """A `GatewayDouble`, empty at the start of each test."""
    from sisgate.testing.double import GatewayDouble

    with GatewayDouble(sisgate_configuration) as double:
        yield double


@pytest.fixture
def gateway(sisgate_double: GatewayDouble) -> Gateway:
    """The gateway of an app, over `sisgate_double`."""
    return sisgate_double.gateway
