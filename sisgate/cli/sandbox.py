"""`sisgate sandbox`: simulated districts in the foreground."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import Annotated, Any

import typer
from rich.text import Text

from sisgate.cli.demo_folder import provider_toml
from sisgate.cli.interrupts import interrupts
from sisgate.cli.options import Json, examples
from sisgate.cli.output import Output, write_line
from sisgate.cli.screens import table
from sisgate.clock import SystemClock
from sisgate.errors import SisgateError, UsageError
from sisgate.sandbox import DEFAULT_DISTRICTS, RunningDistrict, SandboxProcess, SandboxSpec
from sisgate.sandbox.process import SandboxNotReady

EPILOG = examples(
    "sisgate sandbox",
    "sisgate sandbox --districts lincoln=skyward:800,powerschool --quota 60/m",
)


def sandbox(
    districts: Annotated[
        str | None,
        typer.Option(
            help="KIND:STUDENTS or NAME=KIND:STUDENTS, several with commas.",
            show_default="one of each kind",
        ),
    ] = None,
    quota: Annotated[
        str | None,
        typer.Option(help="Such as 1000/h, or none.", show_default="that of the kind"),
    ] = None,
    ports: Annotated[
        str | None,
        typer.Option(help="A port for each district, with commas.", show_default="free ones"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Other data; district n gets seed + n.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Serve simulated SIS over real HTTP until Ctrl-C, to develop and test against."""
    output = Output(as_json)
    spec = _spec(districts, quota, ports, seed)
    with interrupts() as asked:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        process = SandboxProcess(spec)
        try:
            process.start()
        except SandboxNotReady as error:
            last = str(error).strip().splitlines()[-1]
            raise SisgateError(f"The sandbox did not start: {last}") from error
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        try:
            _announce(output, spec, process.districts)
            clock = SystemClock()
            while asked.none:
                clock.sleep(0.2)
        finally:
            process.stop()
    output.note("stopped.")


def _spec(
    districts: str | None, quota: str | None, ports: str | None, seed: int | None
) -> SandboxSpec:
    # It brings the web server along, which no other command needs.
    from sisgate.sandbox.__main__ import parse_districts

    try:
        found = parse_districts(districts) if districts else DEFAULT_DISTRICTS
        if quota:
            found = tuple(replace(d, quota=None if quota == "none" else quota) for d in found)
        if seed is not None:
            found = tuple(replace(d, seed=seed + n) for n, d in enumerate(found))
        if ports:
            numbers = [int(port) for port in ports.split(",")]
            if len(numbers) != len(found):
                raise ValueError(f"{len(found)} districts need as many ports, not {len(numbers)}")
            found = tuple(replace(d, port=p) for d, p in zip(found, numbers, strict=True))
        return SandboxSpec(found)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _announce(output: Output, spec: SandboxSpec, running: dict[str, RunningDistrict]) -> None:
    snippet = "".join(
        provider_toml(district, running[district.name], burst=False) for district in spec.districts
    ).strip()
    made = table(("district", "kind", "students", "quota", "url", "client id", "secret"),
                 numbers=("students",))  # fmt: skip
    facts: list[dict[str, Any]] = []
    for district in spec.districts:
        found = running[district.name]
        quota = str(district.rate) if district.rate else "none"
        made.add_row(
            district.name, district.kind, f"{district.students:,}", quota, found.url,
            found.client_id, found.client_secret,
        )  # fmt: skip
        facts.append(
            {
                "name": district.name,
                "kind": district.kind,
                "students": district.students,
                "quota": str(district.rate) if district.rate else None,
                "url": found.url,
                "token_url": found.token_url,
                "oneroster_base": found.oneroster_base,
                "client_id": found.client_id,
                "client_secret": found.client_secret,
            }
        )
    output.json({"event": "ready", "districts": facts, "toml": snippet})
    output.show(made)
    if not output.as_json:
        output.show(Text("\nFor sisgate.toml:\n", "bold"))
        write_line(snippet)
        output.show(Text("\nThen, with the secret of the table:", "bold"))
        for district in spec.districts:
            client_id = running[district.name].client_id
            output.show(Text(f"  sisgate keys add {district.name} --client-id {client_id}", "cyan"))
    output.note("Serving until Ctrl-C.")
