"""How things stand, and who is at fault."""

from typing import Annotated

from fastapi import APIRouter, Query

from sisgate.web.deps import Caller
from sisgate.web.rights import operation
from sisgate.web.schemas.verdicts import VerdictDocument

router = APIRouter(prefix="/v1", tags=["operations"])


@router.get("/why", **operation("look", "anywhere", "Say how it stands and why"))
def get_verdict(
    caller: Caller,
    subject: Annotated[
        str | None,
        Query(
            description="A provider, PROVIDER/DATASET, or the beginning of a job's id. The fleet "
            "by default.",
            max_length=120,
            examples=["powerschool"],
        ),
    ] = None,
) -> VerdictDocument:
    """Return how a provider, a dataset, a job or the fleet stands, who is at fault, what to do."""
    return VerdictDocument.of(caller.why(subject))
