"""The gateway of the tests of run-time control: one limited provider, and no worker."""

from __future__ import annotations

from tests.integration.control.conftest import gateway

__all__ = ["gateway"]
