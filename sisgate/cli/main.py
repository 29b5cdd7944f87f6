"""The `sisgate` command: all its groups, and its exit codes."""

from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.main
from typer.exceptions import TyperException

from sisgate import __version__
from sisgate.errors import BrokerUnavailable, SisgateError, UsageError
from sisgate.start_up import extra_of, gc_frozen_imports, missing_extra

with gc_frozen_imports():
    from sisgate.cli.app import Commands, Json, invocation_of
    from sisgate.cli.commands import (
        alerts,
        audit,
        breaker,
        config,
        dashboard,
        db,
        demo,
        doctor,
        errors,
        feed,
        jobs,
        keys,
        limits,
        machine,
        privacy,
        provider_changes,
        quarantine,
        record,
        records,
        request,
        sandbox,
        schedules,
        serve,
        sla,
        sync,
        tokens,
        transform,
        up,
        usage,
        webhooks,
        why,
    )
    from sisgate.cli.exits import ExitCode
    from sisgate.cli.invocation import Invocation, names_installation
    from sisgate.cli.presenter import Presenter, write_line

NOT_A_NUMBER = "Input should be a valid integer, unable to parse string as an integer"
"""What Typer says of a text where a whole number belongs."""

app = Commands("sisgate", "Job orchestration between school apps and Student Information Systems.")
for commands in (
    demo.app,
    up.app,
    serve.app,
    sandbox.app,
    sync.app,
    request.app,
    jobs.app,
    schedules.app,
    webhooks.app,
    records.app,
    record.app,
    feed.app,
    provider_changes.app,
    transform.app,
    usage.app,
    sla.app,
    limits.top,
    audit.app,
    dashboard.app,
    doctor.app,
    why.app,
    alerts.app,
    errors.app,
    config.app,
    limits.app,
    breaker.app,
    quarantine.app,
    privacy.app,
    keys.app,
    tokens.app,
    db.app,
    machine.app,
):
    app.add_typer(commands, rich_help_panel=commands.panel)


def _version(is_requested: bool) -> None:
    if is_requested:
        write_line(f"sisgate {__version__}")
        raise typer.Exit


@app.callback(
    epilog="Begin with [bold]sisgate demo[/bold]. With SISGATE_URL and SISGATE_TOKEN, commands ask "
    "that HTTP service, unless --config or --data-dir names an installation here. Exit codes and "
    "examples: docs/reference/cli.md"
)
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
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            help="HTTP service to ask, instead of an installation here. The token comes from "
            "SISGATE_TOKEN, or from the file SISGATE_TOKEN_FILE.",
            show_envvar=False,
        ),
    ] = None,
    as_json: Json = False,
    version: Annotated[  # noqa: ARG001 - the callback does it all
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Accept the global options before a command."""
    invocation = invocation_of(context)
    invocation.config, invocation.data_dir, invocation.as_json = config, data_dir, as_json
    invocation.url, invocation.is_here = url, names_installation(context)


@cache
def _root() -> Any:
    """Return the command with all its commands, which take a while to make."""
    return typer.main.get_command(app)


def execute(arguments: list[str]) -> int:
    """Run one command and return its exit code, reporting every `SisgateError`."""
    output, invocation = Presenter(as_json="--json" in arguments), Invocation()
    try:
        result = _root().main(arguments, prog_name="sisgate", standalone_mode=False, obj=invocation)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else ExitCode.OK
    except SisgateError as error:
        return _failed(output, invocation, error)
    except ModuleNotFoundError as error:
        if (extra := extra_of(error.name)) is None:
            raise
        return output.fail(missing_extra(extra, "This command"))
    except OSError as error:
        from sisgate.stack.data_folder import NO_SPACE

        if error.errno not in NO_SPACE:
            raise
        place = error.filename or error.strerror
        return output.fail(SisgateError(f"The disk is full ({place}): free some space."))
    except (KeyboardInterrupt, typer.Abort):
        output.note("Interrupted.")
        return ExitCode.INTERRUPTED
    except TyperException as error:
        return _wrong_command_line(output, error)
    finally:
        invocation.close()
    return result if isinstance(result, int) else ExitCode.OK


def _failed(output: Presenter, invocation: Invocation, error: SisgateError) -> ExitCode:
    code = output.fail(error)
    if invocation.asked_service:
        from sisgate.domain.network import causes_of

        # One that was raised here, such as for a wrong file, is not the service's.
        if any(getattr(each, "service", None) for each in causes_of(error)):
            output.note(f"So says the HTTP service {invocation.place}.")
    elif isinstance(error, BrokerUnavailable) and "`sisgate up`" not in error.message:
        output.note("Start `sisgate up`, or check broker_url if your Redis runs elsewhere.")
    return code


def _wrong_command_line(output: Presenter, error: TyperException) -> ExitCode:
    command = getattr(getattr(error, "ctx", None), "command_path", "sisgate")
    message = error.format_message().replace(": Value error, ", ": ")
    message = message.replace(NOT_A_NUMBER, "It takes a whole number.")
    if not message:  # A group without a command has shown its help.
        output.json({"error": UsageError(f"{command} needs a command.").as_dict()})
        return ExitCode.USAGE
    code = output.fail(UsageError(message))
    output.note(f"See `{command} --help`.")
    return code
