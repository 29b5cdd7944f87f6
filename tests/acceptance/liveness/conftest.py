"""A fleet of this folder's tests around a provider that can keep calls waiting."""

from __future__ import annotations

from tests.acceptance.admission.conftest import make_fleet, mortal_redis, recorder

__all__ = ["make_fleet", "mortal_redis", "recorder"]
