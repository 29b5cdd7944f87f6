"""The `sisgate` command: all groups together, and every way it can end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sisgate import __version__
from sisgate.errors import SisgateError, UsageError
from sisgate.start_up import extra_of, gc_frozen_imports, missing_extra

with gc_frozen_imports():
    from sisgate.cli.commands import (
        audit,
        breaker,
        db,
        demo,
        doctor,
        jobs,
        keys,
        limits,
        machine,
        privacy,
        providers,
        quarantine,
        records,
        request,
        sandbox,
        schedules,
        sync,
        tokens,
        up,
        usage,
    )
    from sisgate.cli.exits import ExitCode, exit_code
    from sisgate.cli.invocation import Invocation
    from sisgate.cli.output import Output, write_line
    from sisgate.cli.permissions import guarded
    from sisgate.stack.disk import NO_SPACE

JSON = "--json"

app = typer.Typer(
    name="sisgate",
    help="Job orchestration between school apps and Student Information Systems.",
    epilog="Begin with [bold]sisgate demo[/bold]. Exit codes and examples: docs/reference/cli.md",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_RUN, _WORK, _LOOK, _CONTROL, _SET_UP = "Run", "Work", "Look", "Control", "Set up"

app.command(epilog=demo.EPILOG, rich_help_panel=_RUN)(demo.demo)
app.command(epilog=up.EPILOG, rich_help_panel=_RUN)(up.up)
app.command(epilog=sandbox.EPILOG, rich_help_panel=_RUN)(sandbox.sandbox)
app.command(
    epilog=machine.CELERY_EPILOG,
    rich_help_panel=_RUN,
    # What follows the first word is for Celery, `--help` too.
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)(machine.celery)
app.command(epilog=sync.EPILOG, rich_help_panel=_WORK)(sync.sync)
app.command(epilog=request.EPILOG, rich_help_panel=_WORK)(request.request)
app.add_typer(jobs.app, name="jobs", rich_help_panel=_WORK)
app.add_typer(schedules.app, name="schedules", rich_help_panel=_WORK)
app.command(epilog=records.RECORDS_EPILOG, rich_help_panel=_LOOK)(records.records)
app.command(epilog=records.CHANGES_EPILOG, rich_help_panel=_LOOK)(records.changes)
app.add_typer(providers.app, name="providers", rich_help_panel=_LOOK)
app.command(epilog=usage.USAGE_EPILOG, rich_help_panel=_LOOK)(usage.usage)
app.command(epilog=limits.PLAN_EPILOG, rich_help_panel=_LOOK)(limits.plan)
app.add_typer(audit.app, name="audit", rich_help_panel=_LOOK)
app.command(epilog=usage.METRICS_EPILOG, rich_help_panel=_LOOK)(usage.metrics)
app.command(epilog=doctor.EPILOG, rich_help_panel=_LOOK)(doctor.doctor)
app.add_typer(limits.app, name="limits", rich_help_panel=_CONTROL)
app.command(epilog=limits.PAUSE_EPILOG, rich_help_panel=_CONTROL)(limits.pause)
app.command(epilog=limits.RESUME_EPILOG, rich_help_panel=_CONTROL)(limits.resume)
app.command(epilog=breaker.EPILOG, rich_help_panel=_CONTROL)(breaker.breaker)
app.add_typer(quarantine.app, name="quarantine", rich_help_panel=_CONTROL)
app.add_typer(keys.app, name="keys", rich_help_panel=_SET_UP)
app.command(epilog=privacy.ERASE_EPILOG, rich_help_panel=_CONTROL)(privacy.erase)
app.command(epilog=privacy.RETENTION_EPILOG, rich_help_panel=_CONTROL)(privacy.retention)
app.add_typer(tokens.app, name="tokens", rich_help_panel=_SET_UP)
app.add_typer(db.app, name="db", rich_help_panel=_SET_UP)
app.command(epilog=machine.ENV_EPILOG, rich_help_panel=_SET_UP)(machine.env)
app.command("powerschool-plugin", epilog=machine.PLUGIN_EPILOG, rich_help_panel=_SET_UP)(
    machine.powerschool_plugin
)


def _version(asked: bool) -> None:
    if asked:
        write_line(f"sisgate {__version__}")
        raise typer.Exit


@app.callback()
def global_options(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", help="Configuration file.", envvar="SISGATE_CONFIG", dir_okay=False
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir", "-d", help="Data folder.", envvar="SISGATE_DATA_DIR", file_okay=False
        ),
    ] = None,
    version: Annotated[  # noqa: ARG001 - the callback has done it all
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Take the options that come before every command."""
    context.obj = Invocation(config, data_dir)


def execute(arguments: list[str]) -> int:
    """Run one command and return its exit code. No error of sisgate gets past here."""
    arguments = globals_first(arguments)
    output = Output(as_json=JSON in arguments)
    try:
        # With --json the words of a wrong command line are ours to write: as JSON.
        ended = guarded(app)(arguments, prog_name="sisgate", standalone_mode=not output.as_json)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else ExitCode.OK
    except SisgateError as error:
        output.fail(error)
        return exit_code(error)
    except ModuleNotFoundError as error:
        if (extra := extra_of(error.name)) is None:
            raise
        missing = missing_extra(extra, "This command")
        output.fail(missing)
        return exit_code(missing)
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        full = SisgateError(f"The disk is full ({error.filename or error.strerror}): free some.")
        output.fail(full)
        return exit_code(full)
    except KeyboardInterrupt:
        output.note("Interrupted.")
        return ExitCode.INTERRUPTED
    except Exception as error:
        # What Typer raises for a wrong command line; it keeps the class to itself.
        words = getattr(error, "format_message", None)
        if words is None:
            raise
        output.fail(UsageError(words()))
        return ExitCode.USAGE
    return ended if isinstance(ended, int) else ExitCode.OK


def globals_first(arguments: list[str]) -> list[str]:
    """Move the global options to the front and `--json` to the end: they may stand anywhere.

    The demo has a `--data-dir` of its own, with a default of its own.

    >>> globals_first(["sync", "lincoln", "--data-dir", "x", "--wait"])
    ['--data-dir', 'x', 'sync', 'lincoln', '--wait']
    >>> globals_first(["demo", "--data-dir", "x"])
    ['demo', '--data-dir', 'x']
    >>> globals_first(["--json", "limits", "show", "lincoln"])
    ['limits', 'show', 'lincoln', '--json']
    """
    first: list[str] = []
    rest: list[str] = []
    verbatim: list[str] = []
    words = iter(arguments)
    as_json = False
    for word in words:
        if word == "--":
            verbatim = [word, *words]
        elif word == JSON:
            as_json = True
        elif word == "demo" and not any(_is_command(w) for w in rest):
            later = list(words)
            as_json = as_json or JSON in later
            rest += [word, *(w for w in later if w != JSON)]
        elif word in {"--config", "--data-dir", "-c", "-d"} and (len(word) > 2 or not rest):
            first += [word, *(value for value in [next(words, None)] if value is not None)]
        elif word.startswith(("--config=", "--data-dir=")):
            first.append(word)
        else:
            rest.append(word)
    return first + rest + [JSON] * as_json + verbatim


def _is_command(word: str) -> bool:
    return not word.startswith("-")
