"""Whatever callers send, the service answers as its OpenAPI document says: schemathesis draws it.

`python -m benchmarks web` draws more than 20,000 cases; here are a few of each operation.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from testbed.shapes import examine
from testbed.web_service import WebService
from tests.integration.web.conftest import MakeToken

CASES = 3


def schemas_in(part: Any) -> Iterator[dict[str, Any]]:
    """Every object of a document."""
    if isinstance(part, dict):
        yield part
    for each in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from schemas_in(each)


def test_generators_of_clients_can_read_the_document(open_service: WebService) -> None:
    """Two spellings of one value stop openapi-python-client, `null` alone openapi-generator."""
    document = open_service.app.openapi()
    names = [schema["enum"] for schema in schemas_in(document) if "enum" in schema]
    spelt = [[re.sub(r"\W", "_", str(value)).upper() for value in each] for each in names]
    assert [each for each in spelt if len(set(each)) < len(each)] == []
    properties = [schema.get("properties", {}) for schema in schemas_in(document)]
    always_null = [
        name for each in properties for name, schema in each.items() if schema.get("type") == "null"
    ]
    assert always_null == []
    answers = [one for each in schemas_in(document) for one in each.get("responses", {}).values()]
    media = [each for answer in answers for each in answer.get("content", {}).values()]
    assert [each for each in media if "schema" not in each] == []
    assert document["servers"]
    assert document["info"]["license"]


@pytest.mark.parametrize("role", ["none", "app", "admin"])
def test_every_answer_is_documented(service: WebService, make_token: MakeToken, role: str) -> None:
    """Statuses, headers and bodies, with a token and without."""
    token = None if role == "none" else make_token(role, role)
    report = examine(service.app, service.url, token, cases=CASES)
    assert report.failures == []
    assert report.cases >= CASES
