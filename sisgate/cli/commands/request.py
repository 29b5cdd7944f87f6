"""`sisgate request`: makes one call to a provider and shows the response."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args
from urllib.parse import parse_qsl

import typer
from rich.json import JSON

from sisgate.cli.app import Commands
from sisgate.cli.exits import ExitCode
from sisgate.cli.following import accepting
from sisgate.cli.formats import duration
from sisgate.cli.invocation import Invocation
from sisgate.cli.params import IdempotencyKey, OnUnavailable, Priority, Provider, Purpose
from sisgate.cli.presenter import Presenter, write_line
from sisgate.domain.choices import Method
from sisgate.errors import JobExpired, UsageError

if TYPE_CHECKING:
    from sisgate.gateway import Answer

app = Commands()

Query = Annotated[
    list[str] | None, typer.Option("--query", "-q", metavar="NAME=VALUE", help="May be repeated.")
]


def _methods(incomplete: str) -> list[str]:
    return [each for each in get_args(Method) if each.startswith(incomplete.upper())]


@app.add(
    "sisgate request powerschool GET /ws/v1/district",
    "sisgate request lincoln GET /ims/oneroster/v1p1/orgs -q limit=5 --include",
    panel="Work",
)
def request(
    invocation: Invocation,
    provider: Provider,
    method: Annotated[str, typer.Argument(help="GET, POST, …", autocompletion=_methods)],
    path: Annotated[str, typer.Argument(help="Path at the provider.")],
    query: Query = None,
    data: Annotated[
        str | None, typer.Option("--data", metavar="JSON|@FILE", help="Body to send.")
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the response.")] = 10.0,
    priority: Priority = "urgent",
    include: Annotated[
        bool, typer.Option("--include", "-i", help="Show status and headers too.")
    ] = False,
    idempotency_key: IdempotencyKey = None,
    on_unavailable: OnUnavailable = "wait",
    purpose: Purpose = None,
    max_age: Annotated[
        float | None,
        typer.Option("--max-age", help="Seconds; an identical request's response may be so old."),
    ] = None,
    transform: Annotated[
        str | None, typer.Option("--transform", help="A transform of the provider, by name.")
    ] = None,
) -> None:
    """Make one call to a provider within its quota, and show the response."""
    output = invocation.output
    path, pairs = split_path(path)
    target = {"query": pairs | pairs_of(query or []), "json": json_of(data), "priority": priority}
    target |= {"on_unavailable": on_unavailable, "max_age": max_age, "transform": transform}
    try:
        with accepting(invocation, (), f"provider:{provider} kind:request"):
            answer = invocation.gateway.request(
                provider, method, path, timeout=timeout, idempotency_key=idempotency_key,
                purpose=purpose, **target,
            )  # fmt: skip
    except JobExpired as error:
        raise invocation.gateway.jobs.why_unanswered(provider, error) from error
    except TimeoutError as error:
        raise JobExpired(
            f"{error} Run it again with the same key, or with a longer --timeout."
        ) from error
    _show(output, answer, include=include)
    if answer.is_stale:
        age = "some time" if answer.age_seconds is None else duration(answer.age_seconds)
        output.warn(f"{provider} gave no new response; this one is {age} old.")
    if answer.truncated:
        output.warn("The response exceeds response_max_bytes and is cut off.")
    if not answer.ok:
        output.note(f"The provider answered {answer.status}.")
        raise typer.Exit(ExitCode.FAILED)


def _show(output: Presenter, answer: Answer, *, include: bool) -> None:
    parsed = _parsed(answer)
    if output.as_json:
        output.json(
            {
                "job": answer.job_id,
                "status": answer.status,
                "headers": dict(answer.headers),
                "body": answer.text if parsed is None else parsed,
                "truncated": answer.truncated,
                "age_seconds": answer.age_seconds,
                "is_stale": answer.is_stale,
            }
        )
        return
    if include:
        output.out.print(f"HTTP {answer.status}", style="green" if answer.ok else "red")
        for name, value in answer.headers.items():
            output.out.print(f"{name}: {value}", style="dim", soft_wrap=True)
        output.out.print()
    if parsed is not None and output.out.is_terminal:
        # The terminal wraps, so that a copy is still JSON.
        output.out.print(JSON(answer.text), soft_wrap=True)
        return
    if sys.stdout.isatty():
        write_line(answer.text.removesuffix("\n"))
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(answer.body)
    sys.stdout.buffer.flush()


def _parsed(answer: Answer) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def split_path(path: str) -> tuple[str, dict[str, str]]:
    """Return a path without its query, and the query."""
    plain, _, query = path.partition("?")
    return plain, dict(parse_qsl(query, keep_blank_values=True))


def pairs_of(options: list[str]) -> dict[str, str]:
    """Return the parameters of `--query NAME=VALUE`."""
    pairs: dict[str, str] = {}
    for pair in options:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"--query takes NAME=VALUE, not {pair!r}.")
        pairs[name] = value
    return pairs


def json_of(data: str | None) -> Any:
    """Return the JSON of a text or an `@FILE`; None for None."""
    try:
        return None if data is None else json.loads(bytes_of(data))
    except ValueError as error:
        raise UsageError(f"--data is not JSON: {error}.") from error


def bytes_of(data: str) -> bytes:
    """Return a text, or the content of an `@FILE`."""
    if not data.startswith("@"):
        return data.encode()
    try:
        return Path(data[1:]).read_bytes()
    except OSError as error:
        raise UsageError(f"{data[1:]} cannot be read: {error.strerror}.") from error
