"""`sisgate demo`: three simulated districts, synced into SQL by the real stack."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from sisgate.audit import log as audit
from sisgate.cli.app import Commands
from sisgate.cli.commands import demo_report
from sisgate.cli.exits import ExitCode
from sisgate.cli.formats import clock_time, commands_of, duration
from sisgate.cli.invocation import Invocation
from sisgate.cli.presenter import Presenter, to_json, write_line
from sisgate.cli.watch import Watched, watch
from sisgate.credentials.keys import NewKey, add_key
from sisgate.credentials.vault import vault_of
from sisgate.demo import folder as demo_folder
from sisgate.domain.secret import Secret
from sisgate.domain.states import JobKind, JobState, KeyState
from sisgate.errors import SisgateError
from sisgate.ledger.keys import list_keys
from sisgate.sandbox import RunningDistrict, SandboxProcess
from sisgate.settings.load import process_environment
from sisgate.stack import tether
from sisgate.stack.interrupts import Interrupts, interrupts
from sisgate.start_up import require_extras

app = Commands()


PATIENCE_SECONDS = 45.0
"""A demo waits so long for a permit; for a longer wait it ends and says when it goes on."""


@app.add(
    "sisgate demo",
    "sisgate demo --students 500 --fresh",
    note="Everything is kept in the data folder: a second run finds nothing to change.",
    panel="Run",
)
def demo(
    invocation: Invocation,
    students: Annotated[
        int | None,
        typer.Option(
            min=1, max=200_000, help="Students of the largest district.", show_default="5000"
        ),
    ] = None,
    data_dir: Annotated[
        Path, typer.Option("--data-dir", "-d", help="Data folder.", file_okay=False)
    ] = Path(".sisgate-demo"),
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget earlier runs first.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep it running until Ctrl-C.")] = False,
) -> None:
    """Show everything working: a sandbox of three SIS, synced within their quotas."""
    require_extras("sisgate demo", "worker", "sandbox")
    output = invocation.output
    folder = data_dir.absolute()
    if fresh:
        demo_folder.remove_demo(folder)
    found = demo_folder.open_demo(folder, students)
    with interrupts() as asked:
        code = _run(found, folder, output, asked, keep=keep)
    raise typer.Exit(code)


def _run(
    demo: demo_folder.Demo, folder: Path, output: Presenter, asked: Interrupts, *, keep: bool
) -> ExitCode:
    output.note(Text("Starting Redis, a worker, beat and three simulated SIS …", "dim"))
    with _sandbox(demo) as sandbox:
        config = demo_folder.write_config(folder, demo.spec, sandbox.districts)
        invocation = Invocation(config, folder, is_embedded=True)
        with _stack(folder, config, asked) as is_up:
            if not is_up:
                return _interrupted(output)
            _store_keys(invocation, list(sandbox.districts.values()))
            jobs = _enqueue(invocation)
            watched = watch(
                invocation, output, jobs, wanted=lambda seen: asked.none and not _too_long(seen)
            )
            if not watched.is_final:
                return _explain(invocation, output, watched, asked)
            report = _report(invocation, sandbox, watched)
            output.show("")
            output.show(demo_report.screens(report))
            _what_next(invocation, output)
            if keep and asked.none:
                output.note("Running on until Ctrl-C.")
                while asked.none:
                    invocation.clock.sleep(0.2)
    if output.as_json:
        write_line(to_json(report))
    return ExitCode.OK if report["ok"] else ExitCode.FAILED


@contextmanager
def _sandbox(demo: demo_folder.Demo) -> Iterator[SandboxProcess]:
    # Blocked signals stay blocked in the new process: Ctrl-C is for us, who stop the sandbox last.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process = SandboxProcess(demo.spec).start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        yield process
    finally:
        process.stop()


@contextmanager
def _stack(folder: Path, config: Path, asked: Interrupts) -> Iterator[bool]:
    """Run `sisgate up` on the demo's folder for the block; False if Ctrl-C came before it is up."""
    ours = {"SISGATE_BROKER_URL", "SISGATE_DATABASE_URL", "SISGATE_MASTER_KEY_FILE"}
    ours |= {f"{name}_FILE" for name in ours}
    environment = {k: v for k, v in process_environment().items() if k not in ours}
    tie = [sys.executable, "-ISE", tether.__file__, str(os.getpid()), str(int(signal.SIGTERM))]
    command = [sys.executable, "-P", "-m", "sisgate.cli", "--data-dir", str(folder), "--config"]
    command += [str(config), "up", "--no-flower", "--json"]
    log = folder / "up.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [*tie, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
            env=environment, start_new_session=True,
        )  # fmt: skip
    assert process.stdout is not None
    try:
        while not select.select([process.stdout], [], [], 0.2)[0] and asked.none:
            pass
        if asked.none:
            _check_ready(process.stdout.readline(), log)
        yield asked.none
    finally:
        process.terminate()
        process.stdout.read()
        process.wait()
        process.stdout.close()


def _check_ready(line: bytes, log: Path) -> None:
    words = json.loads(line) if line else {}
    if words.get("event") != "ready":
        said = log.read_text("utf-8", "replace").strip().removeprefix("error: ")
        raise SisgateError(said or "The stack did not start.")


def _store_keys(invocation: Invocation, districts: Sequence[RunningDistrict]) -> None:
    vault = vault_of(invocation.settings)
    with invocation.database.write() as session:
        for district in districts:
            known = list_keys(session, district.name)
            if any(k.state == KeyState.ACTIVE and k.client_id == district.client_id for k in known):
                continue
            secret = Secret(district.client_secret)
            now = invocation.clock.now()
            key = add_key(session, vault, district.name, NewKey(district.client_id, secret), now)
            audit.record(
                session,
                now,
                actor="demo",
                action="keys:slot:add",
                subject=district.name,
                key=key.id,
            )


def _enqueue(invocation: Invocation) -> dict[str, list[str]]:
    """Ask for every dataset in full; what an interrupted run left goes on instead."""
    gateway = invocation.gateway
    live = {
        (status.provider, status.resource): status.id
        for status in gateway.jobs.list(states=[JobState.ACCEPTED, JobState.RUNNING], limit=1000)
        if status.kind == JobKind.SYNC
    }
    return {
        name: [
            live.get((name, resource)) or gateway.sync(name, resource, mode="full", app="demo").id
            for resource in gateway.datasets.roster(name)
        ]
        for name in invocation.settings.providers
    }


def _too_long(seen: Watched) -> bool:
    """Whether all that is left waits for a permit that is far away."""
    left = {
        name for name, statuses in seen.statuses.items() if not all(s.is_final for s in statuses)
    }
    return bool(left) and all(
        name in seen.waits and seen.waits[name].seconds > PATIENCE_SECONDS for name in left
    )


def _interrupted(output: Presenter) -> ExitCode:
    output.note("Stopping. Nothing is lost: the next `sisgate demo` goes on where this ended.")
    output.json({"ok": False, "interrupted": True})
    return ExitCode.INTERRUPTED


def _explain(
    invocation: Invocation, output: Presenter, watched: Watched, asked: Interrupts
) -> ExitCode:
    if not asked.none:
        return _interrupted(output)
    seconds = max(wait.seconds for wait in watched.waits.values())
    names = ", ".join(watched.waits)
    if any(wait.reason == "paused" for wait in watched.waits.values()):
        output.warn(f"{names} is paused. Begin anew with `sisgate demo --fresh`.")
        output.json({"ok": False, "waiting": list(watched.waits)})
        return ExitCode.TRY_AGAIN
    until = clock_time(invocation.clock.now(), seconds)
    output.warn(
        f"The hourly quota of {names} is used up by earlier runs, and sisgate keeps to it. It goes "
        f"on at {until} (in {duration(seconds)}): run `sisgate demo` again then, and it goes on "
        "where this ended; or begin anew with `sisgate demo --fresh`."
    )
    output.json({"ok": False, "deferred_seconds": round(seconds), "waiting": list(watched.waits)})
    return ExitCode.TRY_AGAIN


def _report(invocation: Invocation, sandbox: SandboxProcess, watched: Watched) -> dict[str, Any]:
    providers = {
        name: demo_report.provider_report(invocation, name, statuses, sandbox.stats(name))
        for name, statuses in watched.statuses.items()
    }
    sums = demo_report.totals(providers)
    ends = [status.ended_at for status in watched.jobs if status.ended_at]
    begins = [status.accepted_at for status in watched.jobs]
    return {
        "ok": all(status.state is JobState.DONE for status in watched.jobs),
        "changed": bool(sums["inserted"] or sums["updated"] or sums["deleted"]),
        "seconds": round((max(ends) - min(begins)).total_seconds(), 2),
        "totals": sums,
        "providers": providers,
        "data_dir": str(invocation.settings.data_dir),
        "config": str(invocation.settings.config_file),
    }


def _what_next(invocation: Invocation, output: Presenter) -> None:
    sisgate = commands_of(invocation.settings)
    output.show("")
    output.show(Text("Look at the records:"))
    for words in ("records powerschool students -n 10", "changes skyward enrollments -n 10"):
        output.command(f"{sisgate} {words}")
