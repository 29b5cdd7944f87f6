"""`sisgate feed`: the changes of a dataset without its records, and who reads them."""

from typing import Annotated

import typer

from sisgate.cli.app import Commands
from sisgate.cli.formats import number
from sisgate.cli.invocation import Invocation
from sisgate.cli.params import Provider, Resource
from sisgate.cli.tables import Columns

app = Commands()

_CONSUMERS: Columns = {
    "app": "app",
    "cursor": "cursor",
    "behind": lambda each: "lost" if each.is_lost else each.behind,
    "last asked": "read_at",
}
_CHANGES: Columns = {
    "number": "sequence",
    "what": "operation",
    "sourcedId": "sourced_id",
    "when": "changed_at",
    "job": "job_id",
}


@app.add(
    "sisgate feed powerschool students",
    "sisgate feed powerschool students --before 1200 -n 100",
    note="Lost: changes that an app has not read are gone; it has to read all records again.",
    panel="Look",
)
def feed(
    invocation: Invocation,
    provider: Provider,
    resource: Resource,
    before: Annotated[
        int | None, typer.Option("--before", min=0, help="Only changes below this number.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many.")] = 20,
) -> None:
    """Show the newest changes of a dataset without records, and how far apps have read."""
    datasets, output = invocation.gateway.datasets, invocation.output
    found = datasets.feed(provider, resource, before=before, limit=limit)
    consumers = datasets.consumers(provider, resource)
    output.facts(
        [
            ("newest change", number(found.newest)),
            ("gone", f"up to {number(found.horizon)}" if found.horizon else "none"),
            ("oldest that is left", found.oldest_at or "-"),
        ],
        json={"feed": found, "consumers": consumers},
    )
    if not output.as_json:
        output.table(consumers, _CONSUMERS, empty="No app has read these changes.")
        output.table(found.changes, _CHANGES, empty="No changes.")
