"""Patterns of errors over HTTP: what fails how often, and what is fixed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sisgate.client.connection import Connection
from sisgate.client.paths import error_pattern_path
from sisgate.client.reading import reads_answers
from sisgate.client.twins import twin
from sisgate.client.values import text_of, value_of
from sisgate.domain.alert_states import PatternState
from sisgate.domain.validation import chosen
from sisgate.errors import NotFound, UnknownErrorPattern
from sisgate.gateway.errors import ErrorPatterns, ErrorSummary


@reads_answers
class HttpErrorPatterns:
    """`gateway.errors` over HTTP."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @twin(ErrorPatterns.list)
    def list(
        self, *, states: Sequence[PatternState | str], since: datetime | None, **query: Any
    ) -> Sequence[ErrorSummary]:
        wanted = [chosen("state", PatternState, each) for each in states]
        asked = {**query, "state": wanted, "since": text_of("since", since)}
        return value_of(list[ErrorSummary], self._connection.get("/v1/errors", asked)["errors"])

    def get(self, pattern_id: str) -> ErrorSummary:
        """Return the one pattern whose id begins so; `UnknownErrorPattern` otherwise."""
        return value_of(ErrorSummary, self._connection.get(error_pattern_path(pattern_id)))

    def history(self, pattern_id: str) -> Mapping[datetime, int]:
        """Return how often a pattern came in each ten minutes of the last day, without zeros."""
        try:
            found = self._connection.get(f"{error_pattern_path(pattern_id)}/history")
        except UnknownErrorPattern:
            raise
        except NotFound:  # an older service
            return {}
        return value_of(dict[datetime, int], found["counts"])

    def resolve(
        self, pattern_id: str, *, fixed_in: str | None = None, actor: str | None = None
    ) -> ErrorSummary:
        """Mark a pattern as fixed, and in what. If it comes back, it is open again."""
        path = f"{error_pattern_path(pattern_id)}/resolve"
        return value_of(ErrorSummary, self._connection.post(path, {"fixed_in": fixed_in}))

    def reopen(
        self, pattern_id: str, *, actor: str | None = None, reason: str | None = None
    ) -> ErrorSummary:
        """Take back that a pattern is fixed; one that is open stays as it is."""
        path = f"{error_pattern_path(pattern_id)}/reopen"
        return value_of(ErrorSummary, self._connection.post(path, {"reason": reason}))
