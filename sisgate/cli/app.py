"""Turns functions into commands with examples, and accepts global options in any position."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperGroup

from sisgate.cli.invocation import Invocation, Needs

Command = TypeVar("Command", bound=Callable[..., None])

PANEL = "Global options"

Config = Annotated[
    Path | None,
    typer.Option("--config", help="Configuration file.", dir_okay=False, rich_help_panel=PANEL),
]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Data folder.", file_okay=False, rich_help_panel=PANEL),
]
Json = Annotated[
    bool,
    typer.Option(
        "--json", help="Write JSON to stdout; messages go to stderr.", rich_help_panel=PANEL
    ),
]


Url = Annotated[
    str | None, typer.Option("--url", help="HTTP service to ask.", rich_help_panel=PANEL)
]

ELSEWHERE = {
    "status": " `sisgate dashboard`, `sisgate why` and `sisgate doctor` show the state.",
    "overview": " `sisgate dashboard` shows it.",
    "start": " `sisgate up` starts sisgate.",
    "stop": " Ctrl-C stops `sisgate up`.",
}
"""Commands that other tools have, and what does their work here."""


class Group(TyperGroup):
    """A group that lists its commands when asked for an unknown one."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the first argument names."""
        try:
            return super().resolve_command(ctx, args)
        except typer.exceptions.TyperException as error:
            told, hint = error.message, ELSEWHERE.get(args[0], "") if ctx.parent is None else ""
            if ctx.parent is not None and " Did you mean" not in told and "show" in self.commands:
                hint = f" `{ctx.command_path} show {args[0]}` shows one."
            elif hint:  # what is spelled like it is not meant
                told = told.partition(" Did you mean")[0]
            error.message = f"{told}{hint} Commands: {', '.join(self.list_commands(ctx))}."
            raise


class Commands(typer.Typer):
    """A group of commands; without a name, its commands are top-level."""

    def __init__(self, name: str | None = None, summary: str = "", panel: str = "") -> None:
        self.panel = panel
        super().__init__(
            name=name,
            help=summary,
            cls=Group,
            no_args_is_help=True,
            rich_markup_mode="rich",
            pretty_exceptions_enable=False,
            context_settings={"help_option_names": ["-h", "--help"]},
            callback=_command(_nothing) if name else None,
        )

    def add(
        self,
        *examples: str,
        name: str | None = None,
        note: str = "",
        panel: str | None = None,
        needs: Needs | None = None,
        **settings: Any,
    ) -> Callable[[Command], Command]:
        """Register a function as a command. It takes the `Invocation`, then its own parameters.

        It works over HTTP, unless it `needs` more.
        """

        def register(function: Command) -> Command:
            epilog = _epilog(examples, note)
            settings.setdefault("rich_help_panel", panel)
            self.command(name, epilog=epilog, **settings)(_command(function, needs))
            return function

        return register

    def add_default(self, *examples: str) -> Callable[[Command], Command]:
        """Register what the group does without a command."""

        def register(function: Command) -> Command:
            callback = self.callback(
                epilog=_epilog(examples), invoke_without_command=True, no_args_is_help=False
            )
            callback(_command(function))
            return function

        return register


def global_options(
    as_json: Json = False, config: Config = None, data_dir: DataDir = None, url: Url = None
) -> None:
    """Declare the options of every command."""


_GLOBAL = inspect.signature(global_options, eval_str=True).parameters


def _command(function: Callable[..., None], needs: Needs | None = None) -> Callable[..., None]:
    """Return a function for typer: it takes the context, its own and the global options."""
    signature = inspect.signature(function, eval_str=True)
    own = list(signature.parameters.values())[1:]
    added = [each for each in _GLOBAL.values() if each.name not in signature.parameters]

    def run(context: typer.Context, **arguments: Any) -> None:
        invocation = invocation_of(context)
        invocation.take({each.name: arguments.pop(each.name) for each in added})
        if needs is not None:
            invocation.require_here(context.command_path, needs)
        if context.invoked_subcommand is None:
            function(invocation, **arguments)

    context = inspect.Parameter(
        "context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
    )
    run.__name__, run.__doc__ = function.__name__, function.__doc__
    run.needs = needs  # type: ignore[attr-defined]
    run.__signature__ = signature.replace(parameters=[context, *own, *added])  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in [context, *own, *added]}
    return run


def _nothing(_invocation: Invocation) -> None:
    """Accept the global options of a group."""


def invocation_of(context: typer.Context) -> Invocation:
    """Return the invocation of a command's context."""
    root = context.find_root()
    if not isinstance(root.obj, Invocation):
        root.obj = Invocation()
    return root.obj


def _epilog(examples: tuple[str, ...], note: str = "") -> str:
    """Return the end of a command's help: the examples, then a note."""
    lines = [f"[bold]{command.replace('[', chr(92) + '[')}[/bold]" for command in examples]
    return "\n\n".join(["Examples:", *lines, *([note] if note else [])])
