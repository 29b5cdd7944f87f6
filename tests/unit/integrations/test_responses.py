"""Errors as callers of the app see them."""

import json

from sisgate.errors import DatabaseUnavailable
from sisgate.integrations.responses import of_error


def test_what_only_an_operator_can_use_is_not_shown() -> None:
    """The log of the app has it; the caller gets two whole sentences."""
    problem = json.loads(bytes(of_error(DatabaseUnavailable("db-7 is away."), "/sis/a/b").body))
    assert problem["detail"].endswith("accepted. The log of the app says more.")
    assert "db-7" not in str(problem)
