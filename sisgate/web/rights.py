"""What each route needs: the action that the gateway will ask for, and where.

Routes declare it for readers of the API. The gateway decides; a test compares both for every route,
role and scope.
"""

from typing import Any, Literal

Where = Literal[
    "anywhere",
    "installation",
    "provider",
    "part of provider",
    "dataset",
    "job",
    "provider of job",
    "provider of schedule",
]
"""`anywhere`: the role suffices. `part of provider`: a scope inside of it suffices."""


def operation(action: str, where: Where, summary: str) -> dict[str, Any]:
    """Return what a route says of its operation: the right that it needs, and its summary."""
    needed = {"x-sisgate-action": action, "x-sisgate-where": where}
    return {"openapi_extra": needed, "summary": summary}


OPEN: dict[str, Any] = {"x-sisgate-action": "open", "security": []}
"""The extension of an operation that everybody may use."""
