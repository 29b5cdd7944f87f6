"""Draws requests from an OpenAPI document with schemathesis, and runs all checks on the answers.

A request that fits the schema may still be refused as `MEANINGLESS`: a schema does not know
which datasets a provider has, or whether a cursor is too old.
"""

from dataclasses import dataclass, field
from typing import Any

import hypothesis
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis.core.failures import FailureGroup

LEFT_OUT = {"follow_job"}
"""Streams that end only with a job."""

MEANINGLESS = ("410", "422")
"""Statuses that refuse what a request says, not how."""


@dataclass
class Shapes:
    """How many requests were sent, and what was wrong with their answers."""

    cases: int = 0
    failures: list[str] = field(default_factory=list)


def examine(app: Any, url: str, token: str | None, *, cases: int, seed: int = 1) -> Shapes:
    """Send `cases` requests to each operation of an application that is served at a URL."""
    found = Shapes()
    schema = schemathesis.openapi.from_dict(app.openapi())
    schema.config.update(base_url=url)
    accepted = schema.config.checks.positive_data_acceptance
    accepted.expected_statuses = [*accepted.expected_statuses, *MEANINGLESS]
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with requests.Session() as session:
        for result in schema.get_all_operations():
            operation: Any = result.ok()  # type: ignore[union-attr]  # our document is valid
            if operation.definition.raw["operationId"] in LEFT_OUT:
                continue
            _draw(operation, found, session, headers, cases, seed)
    return found


def _draw(
    operation: Any,
    found: Shapes,
    session: requests.Session,
    headers: dict[str, str],
    cases: int,
    seed: int,
) -> None:
    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=cases, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @hypothesis.given(case=operation.as_strategy())
    def draw(case: Any) -> None:
        found.cases += 1
        response = case.call(session=session, headers=headers, timeout=30)
        try:
            case.validate_response(response)
        except (Exception, FailureGroup) as error:
            found.failures.append(f"{operation.label}: {str(error)[:600]}")

    draw()
