"""Patterns of errors: what fails how often, and what is taken to be fixed."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query

from sisgate.gateway import ErrorSummary
from sisgate.web.deps import ACTOR, Caller
from sisgate.web.rights import operation
from sisgate.web.schemas.document import Moment
from sisgate.web.schemas.error_patterns import HistoryOfPattern, PatternsDocument, ResolveErrorOrder
from sisgate.web.schemas.providers import BecauseOrder

router = APIRouter(prefix="/v1/errors", tags=["alerts"])

PatternId = Annotated[
    str, Path(description="The id of a pattern, or its beginning.", max_length=20)
]


@router.get("", **operation("look", "anywhere", "List patterns of errors"))
def list_errors(
    caller: Caller,
    state: Annotated[list[Literal["open", "resolved"]] | None, Query()] = None,
    provider: str | None = None,
    since: Moment | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> PatternsDocument:
    """Return the open patterns that the caller may see, the one that was seen last first."""
    found = caller.errors.list(
        states=state or ("open",), provider=provider, since=since, limit=limit
    )
    return PatternsDocument(errors=found)


@router.get("/{pattern_id}", **operation("look", "anywhere", "Show a pattern of errors"))
def get_error(pattern_id: PatternId, caller: Caller) -> ErrorSummary:
    """Return one pattern."""
    return caller.errors.get(pattern_id)


@router.get(
    "/{pattern_id}/history", **operation("look", "anywhere", "Show how often a pattern came")
)
def get_error_history(pattern_id: PatternId, caller: Caller) -> HistoryOfPattern:
    """Return how often it came in each ten minutes of the last day, without zeros."""
    counts = caller.errors.history(pattern_id)
    return HistoryOfPattern(counts={begin.isoformat(): n for begin, n in counts.items()})


@router.post("/{pattern_id}/resolve", **operation("control", "anywhere", "Mark a pattern as fixed"))
def resolve_error(pattern_id: PatternId, order: ResolveErrorOrder, caller: Caller) -> ErrorSummary:
    """Mark a pattern as fixed, and in what. If it comes back, it is open again."""
    return caller.errors.resolve(pattern_id, **dict(order), actor=ACTOR)


@router.post(
    "/{pattern_id}/reopen", **operation("control", "anywhere", "Mark a pattern as not fixed")
)
def reopen_error(pattern_id: PatternId, order: BecauseOrder, caller: Caller) -> ErrorSummary:
    """Take back that a pattern is fixed; one that is open stays as it is."""
    return caller.errors.reopen(pattern_id, **dict(order), actor=ACTOR)
