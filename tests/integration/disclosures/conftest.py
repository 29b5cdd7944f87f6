"""The gateway of the tests of disclosure, on both databases."""

from __future__ import annotations

from tests.integration.control.conftest import gateway

__all__ = ["gateway"]
