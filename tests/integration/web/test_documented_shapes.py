"""Whatever callers send, the service answers as its OpenAPI document says: schemathesis draws it.

`python -m benchmarks web` draws more than 20,000 cases; here are a few of each operation.
"""

from __future__ import annotations

import pytest

from testbed.shapes import examine
from testbed.web_service import WebService
from tests.integration.web.conftest import MakeToken

CASES = 3


@pytest.mark.parametrize("role", ["none", "app", "admin"])
def test_every_answer_is_documented(service: WebService, make_token: MakeToken, role: str) -> None:
    """Statuses, headers and bodies, with a token and without."""
    token = None if role == "none" else make_token(role, role)
    report = examine(service.app, service.url, token, cases=CASES)
    assert report.failures == []
    assert report.cases >= CASES
