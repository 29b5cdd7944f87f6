"""Jobs as people name them: by the beginning of their id."""

from __future__ import annotations

from typing import Annotated

import typer
from sqlalchemy import select

from sisgate.cli.invocation import Invocation
from sisgate.errors import UnknownJob, UsageError
from sisgate.ledger.schema import Job

OneJob = Annotated[str, typer.Argument(metavar="JOB", help="Id, or its beginning.")]


def full_id(invocation: Invocation, beginning: str) -> str:
    """Return the id of the one job whose id begins so; `UnknownJob` or `UsageError` else."""
    wanted = beginning.strip().lower()
    if not wanted:
        raise UsageError("A job is named by its id or the beginning of it.")
    query = select(Job.id).where(Job.id.startswith(wanted, autoescape=True)).limit(3)
    with invocation.database.read() as session:
        found = list(session.scalars(query))
    if not found:
        raise UnknownJob(f"No job's id begins with {wanted}. See `sisgate jobs list`.")
    if wanted in found:
        return wanted
    if len(found) > 1:
        several = ", ".join(job_id[: len(wanted) + 4] for job_id in found)
        raise UsageError(f"Several jobs begin with {wanted} ({several}, …): write more of the id.")
    return found[0]
