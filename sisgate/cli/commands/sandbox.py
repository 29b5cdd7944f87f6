"""`sisgate sandbox`: simulated districts in the foreground."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from sisgate.cli.app import Commands
from sisgate.cli.formats import program
from sisgate.cli.invocation import Invocation, Needs
from sisgate.cli.presenter import Presenter, write_line
from sisgate.clock import SystemClock
from sisgate.errors import SisgateError, UsageError
from sisgate.stack.interrupts import until_interrupted
from sisgate.start_up import require_extras

if TYPE_CHECKING:
    from sisgate.sandbox import DistrictSpec, RunningDistrict, SandboxSpec

app = Commands()

ENTRANCE = ("url", "token_url", "oneroster_base", "client_id", "client_secret")


@app.add(
    "sisgate sandbox",
    "sisgate sandbox --districts lincoln=skyward:800,powerschool --quota 60/m",
    panel="Run",
    needs=Needs.MACHINE,
)
def sandbox(
    invocation: Invocation,
    districts: Annotated[
        str | None,
        typer.Option(
            help="KIND:STUDENTS or NAME=KIND:STUDENTS, comma-separated.",
            show_default="one of each kind",
        ),
    ] = None,
    quota: Annotated[
        str | None, typer.Option(help="Such as 1000/h, or none.", show_default="by kind")
    ] = None,
    ports: Annotated[
        str | None,
        typer.Option(help="One port for each district, comma-separated.", show_default="free ones"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the data; district n gets seed + n.")
    ] = None,
) -> None:
    """Serve simulated SIS over HTTP until Ctrl-C, for development and tests."""
    from sisgate.sandbox import SandboxProcess
    from sisgate.sandbox.process import SandboxNotReady
    from sisgate.sandbox.spec import parse_spec

    require_extras("sisgate sandbox", "sandbox")
    try:
        spec = parse_spec(districts, quota, ports, seed)
    except ValueError as error:
        raise UsageError(str(error)) from error
    try:
        process = SandboxProcess(spec).start()
    except SandboxNotReady as error:
        last = str(error).strip().splitlines()[-1]
        raise SisgateError(f"The sandbox did not start: {last}") from error
    try:
        _announce(invocation.output, spec, process.districts)
        for _ in until_interrupted(SystemClock(), 0.2):
            pass
    finally:
        process.stop()
    invocation.output.note("stopped.")


def _announce(output: Presenter, spec: SandboxSpec, running: dict[str, RunningDistrict]) -> None:
    from sisgate.demo.folder import provider_toml

    snippet = "".join(
        provider_toml(district, running[district.name], burst=False) for district in spec.districts
    ).strip()
    facts = [_facts(district, running[district.name]) for district in spec.districts]
    output.json({"event": "ready", "districts": facts, "toml": snippet})
    if not output.as_json:
        _show(output, facts, snippet)
    output.note("Serving until Ctrl-C.")


def _facts(district: DistrictSpec, running: RunningDistrict) -> dict[str, Any]:
    return {
        "name": district.name,
        "kind": district.kind,
        "students": district.students,
        "quota": str(district.rate) if district.rate else None,
        **{name: getattr(running, name) for name in ENTRANCE},
    }


def _show(output: Presenter, districts: Sequence[Mapping[str, Any]], snippet: str) -> None:
    # One unwrapped value a line can be copied at any width.
    for district in districts:
        size = f"{district['students']:,} students, quota {district['quota'] or 'none'}"
        output.show(Text.assemble((district["name"], "bold"), f" ({district['kind']}, {size})"))
        for name in ENTRANCE:
            if district[name]:
                write_line(f"  {name.replace('_', ' '):<15} {district[name]}")
    output.show(Text("\nFor sisgate.toml:\n", "bold"))
    write_line(snippet)
    output.show(Text("\nAfter `sisgate up`, the keys:\n", "bold"))
    for district in districts:
        secret, client_id = (
            shlex.quote(district["client_secret"]),
            shlex.quote(district["client_id"]),
        )
        write_line(
            f"printf %s {secret} | "
            f"{program()} keys add {district['name']} --client-id {client_id} --secret-file -"
        )
    write_line("")
