"""`sisgate transform`: trying the rules that change requests and responses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sisgate.cli.app import Commands
from sisgate.cli.commands.request import Query, bytes_of, json_of, pairs_of, split_path
from sisgate.cli.invocation import Invocation
from sisgate.cli.params import Provider
from sisgate.domain.targets import query_pairs
from sisgate.gateway import NewRequest

if TYPE_CHECKING:
    from sisgate.gateway.transforms import TransformTrial

app = Commands("transform", "Try the transforms of requests and responses.", panel="Work")


@app.add(
    "sisgate transform test powerschool /ws/v1/district/student --response @students.json",
    "sisgate transform test powerschool /ws/v1/district/student --name roster",
    name="test",
)
def try_transform(
    invocation: Invocation,
    provider: Provider,
    path: Annotated[str, typer.Argument(help="Path of the request, with its query.")],
    name: Annotated[
        str | None, typer.Option("--name", help="The transform; else the first that fits.")
    ] = None,
    method: Annotated[str, typer.Option("--method", help="GET, POST, …")] = "GET",
    query: Query = None,
    data: Annotated[
        str | None, typer.Option("--data", metavar="JSON|@FILE", help="Body of the request.")
    ] = None,
    response: Annotated[
        str | None,
        typer.Option("--response", metavar="JSON|@FILE", help="Body of a response to change."),
    ] = None,
) -> None:
    """Show what a transform makes of a request and a response. Makes no call."""
    plain, pairs = split_path(path)
    request = NewRequest(
        provider, method, plain,
        query=pairs | pairs_of(query or []), json=json_of(data), transform=name,
    )  # fmt: skip
    body = None if response is None else bytes_of(response)
    trial = invocation.gateway.transforms.test(request, response=body)
    invocation.output.facts(_details(trial), json=_as_json(trial))


def _details(trial: TransformTrial) -> list[tuple[str, object]]:
    target = trial.request
    text = "&".join(f"{name}={value}" for name, value in query_pairs(target["query"]))
    done = trial.response
    return [
        ("transform", trial.rule),
        ("request", f"{target['method']} {target['path']}{'?' if text else ''}{text}"),
        *((f"  {name}", value) for name, value in target.get("headers", {}).items()),
        ("  body", None if target["json"] is None else json.dumps(target["json"])),
        *((f"response {name}", value) for name, value in (done.headers if done else {}).items()),
        ("response", None if done is None else done.body.decode(errors="replace")),
    ]


def _as_json(trial: TransformTrial) -> dict[str, Any]:
    done = trial.response
    return {
        "provider": trial.provider,
        "transform": trial.rule,
        "request": dict(trial.request),
        "response": done and {"headers": dict(done.headers), "body": done.body.decode()},
    }
