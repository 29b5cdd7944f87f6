"""What each command needs where tokens are in use, in one table.

The gateway checks as well, and more finely (whose job, which dataset). This table also covers the
commands that look into the database by themselves, and a command that nobody thought of needs an
admin.
"""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from sisgate.access.policy import Action
from sisgate.cli.app import invocation_of

OF_THE_MACHINE = frozenset(
    {
        "demo",
        "up",
        "celery",
        "sandbox",
        "doctor",
        "env",
        "powerschool-plugin",
        "keys master",
        "db upgrade",
        "db current",
        # Asks by itself: the first admin's token is made without one.
        "tokens add",
    }
)
"""Commands that work on files and processes of this machine: its own users decide about them."""

NEEDS: dict[str, Action] = {
    "sync": Action.ENQUEUE,
    "request": Action.REQUEST,
    "records": Action.READ,
    "changes": Action.READ,
    "jobs": Action.ENQUEUE,
    "jobs list": Action.LOOK,
    "jobs show": Action.LOOK,
    "schedules": Action.LOOK,  # and `control` to run one, which the gateway asks for
    "providers": Action.LOOK,
    "plan": Action.LOOK,
    "usage": Action.LOOK,
    "breaker": Action.LOOK,  # and `control` to change one, which the gateway asks for
    "metrics": Action.LOOK,
    "quarantine": Action.LOOK,  # and `administer` to read one, which the gateway asks for
    "quarantine requeue": Action.CONTROL,
    "quarantine drop": Action.CONTROL,
    "limits": Action.CONTROL,
    "limits show": Action.LOOK,
    "pause": Action.CONTROL,
    "resume": Action.CONTROL,
    "keys": Action.KEYS,
    "keys masters": Action.ADMINISTER,
    "keys rewrap": Action.ADMINISTER,
    "keys forget-master": Action.ADMINISTER,
}
"""By command or group; what stands nowhere needs `administer`."""

_OF_THE_INSTALLATION = frozenset({Action.KEYS, Action.ADMINISTER})
"""Actions that need the scope `*` where no provider is named."""


def needed(command: str) -> Action | None:
    """Return the action that a command is, None where nobody is asked.

    >>> needed("jobs cancel"), needed("demo"), needed("something new")
    (<Action.ENQUEUE: 'enqueue'>, None, <Action.ADMINISTER: 'administer'>)
    """
    if command in OF_THE_MACHINE:
        return None
    group = command.split(" ", maxsplit=1)[0]
    return NEEDS.get(command, NEEDS.get(group, Action.ADMINISTER))


def guarded(app: typer.Typer) -> Any:
    """Return the command line of an app with a check before each of its commands."""
    root: Any = typer.main.get_command(app)
    for name, command in root.commands.items():
        _guard(command, name)
    return root


def _guard(command: Any, path: str) -> None:
    if isinstance(command, TyperGroup):
        for name, below in command.commands.items():
            _guard(below, f"{path} {name}")
        if not command.invoke_without_command:
            return
    action, invoke = needed(path), command.invoke

    def checked(context: typer.Context) -> Any:
        if action is not None:
            provider = context.params.get("provider")
            invocation = invocation_of(context)
            invocation.take(context.params)
            invocation.authorise(
                action,
                provider if isinstance(provider, str) else None,
                of_installation=action in _OF_THE_INSTALLATION,
            )
        return invoke(context)

    command.invoke = checked
