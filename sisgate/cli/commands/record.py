"""`sisgate record`: one record, what became of it, and what is in it."""

import sys
from typing import Annotated

import typer

from sisgate.cli.app import Commands
from sisgate.cli.invocation import Invocation
from sisgate.cli.params import Provider, Purpose, Resource
from sisgate.cli.tables import Columns
from sisgate.errors import UsageError

app = Commands()

_CHANGES: Columns = {
    "number": "sequence",
    "what": "operation",
    "when": "changed_at",
    "job": "job_id",
}


@app.add(
    "sisgate record powerschool students 1042",
    "sisgate record powerschool students - --data --purpose 'call of the parents' < id.txt",
    note="The shell keeps an id on the command line in its history; - reads it from stdin.",
    panel="Look",
)
def record(
    invocation: Invocation,
    provider: Provider,
    resource: Resource,
    sourced_id: Annotated[
        str, typer.Argument(metavar="SOURCED_ID", help="Its id at the provider; - for stdin.")
    ],
    data: Annotated[
        bool, typer.Option("--data", help="Also show what is in it; the audit log records that.")
    ] = False,
    purpose: Purpose = None,
) -> None:
    """Show when a record came, changed and went."""
    sourced_id = sys.stdin.readline().strip() if sourced_id == "-" else sourced_id
    if not sourced_id:
        raise UsageError("The id is empty: give that of a record.")
    datasets, output = invocation.gateway.datasets, invocation.output
    found = datasets.history(provider, resource, sourced_id)
    opened = datasets.open(provider, resource, [sourced_id], purpose=purpose) if data else ()
    content = opened[0].data if opened else None
    it = found.record
    output.facts(
        [
            ("record", it.sourced_id),
            ("first seen", it.first_seen),
            ("last seen", it.last_seen),
            ("changed", it.changed_at),
            ("deleted", it.deleted_at),
            ("fingerprint", it.fingerprint),
            *((content or {}).items()),
        ],
        json={"record": it, "changes": found.changes, "data": content},
    )
    if not output.as_json:
        output.table(found.changes, _CHANGES, empty="No change since it was first seen.")
