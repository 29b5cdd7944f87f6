"""`sisgate keys master`, `masters`, `rewrap` and `forget-master`: the keys that seal secrets."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from sisgate.cli.app import Commands
from sisgate.cli.invocation import Invocation, Needs, user_name
from sisgate.cli.params import Reason
from sisgate.cli.presenter import Presenter
from sisgate.errors import CredentialError, DatabaseUnavailable, UsageError

if TYPE_CHECKING:
    from sisgate.gateway.master_keys import MasterKeyUse

app = Commands()


@app.add(
    "sisgate keys master ./secrets/master_key",
    "sisgate keys master --renew",
    needs=Needs.INSTALLATION,
)
def master(
    invocation: Invocation,
    path: Annotated[
        Path | None,
        typer.Argument(help="File to write.", dir_okay=False, show_default="the configured file"),
    ] = None,
    renew: Annotated[
        bool, typer.Option("--renew", help="Add a new first key to an existing file.")
    ] = False,
    lost: Annotated[bool, typer.Option("--lost", help="Give up the missing keys as lost.")] = False,
    reason: Reason = None,
) -> None:
    """Create a master key file (mode 600), unless one exists or the ledger needs another."""
    output, keys = invocation.output, invocation.installation.keys.master
    target = path or invocation.settings.master_key_path
    if lost and (renew or path):
        raise UsageError("--lost takes neither PATH nor --renew: it writes the configured file.")
    if not lost and not target.exists():
        try:
            keys.check_ledger()
        except DatabaseUnavailable as error:
            # A fleet's key may be created before its database runs; `up` and `doctor` check again.
            text = f"Cannot tell whether the ledger uses another key: {error.message}"
            output.warn(text)
    try:
        if lost:
            _give_up(invocation, output, reason)
            return
        if renew:
            key = keys.renew(target)
            result = {"path": target, "made": True, "master_key": key}
            output.result(result, f"{key} is now the newest master key in {target}.")
            output.note("Restart all processes with this file, then run `sisgate keys rewrap`.")
            return
        is_new = keys.make(target)
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror}.") from error
    if is_new:
        text = f"Created {target}. Keep a copy: without it, no stored key can be opened."
    else:
        text = f"{target} already exists and is unchanged. --renew adds a new key to it."
    output.result({"path": target, "made": is_new}, text)


def _give_up(invocation: Invocation, output: Presenter, reason: str | None) -> None:
    """Give up the missing keys as lost; create a key if there is none."""
    path, keys = invocation.settings.master_key_path, invocation.installation.keys.master
    invocation.installation.ledger.version()  # without a ledger, no key is missing
    is_new = keys.make()
    lost = keys.give_up(actor=user_name(), reason=reason)
    text = f"Given up as lost: {', '.join(lost)}." if lost else "No key is missing."
    output.result({"path": path, "made": is_new, "lost": lost}, text)
    if is_new:
        output.show(f"Created {path}. Keep a copy, then store the provider keys again.")


@app.add("sisgate keys masters --json")
def masters(invocation: Invocation) -> None:
    """List master keys: their origin, and how much each seals."""
    keys = invocation.gateway.keys.master.list()
    invocation.output.table(
        keys,
        {"id": "id", "use": _use, "from": "origin", "has sealed": _sealed},
        json=[{**asdict(key), "sealed": dict(key.sealed)} for key in keys],
    )


def _use(key: MasterKeyUse) -> Text:
    if not key.origin:
        return Text("missing", "red")
    return Text("seals", "green") if key.is_newest else Text("opens", "dim")


def _sealed(key: MasterKeyUse) -> str:
    return ", ".join(f"{place} {count:,}" for place, count in key.sealed.items()) or "nothing"


@app.add("sisgate keys rewrap", note="Can be interrupted; the next run continues.")
def rewrap(invocation: Invocation, reason: Reason = None) -> None:
    """Re-seal everything with the newest master key, while the fleet runs."""
    moved: dict[str, int] = {}
    unopened: dict[str, tuple[str, ...]] = {}
    with invocation.output.progress() as bars:
        tasks = {}
        steps = invocation.gateway.keys.master.rewrap(actor=user_name(), reason=reason)
        for step in steps:
            if step.name not in tasks:
                tasks[step.name] = bars.add_task(step.name, total=step.total)
            bars.update(tasks[step.name], completed=step.moved)
            moved[step.name], unopened[step.name] = step.moved, step.unopened
    lost = [place for places in unopened.values() for place in places]
    text = ", ".join(f"{name} {count:,}" for name, count in moved.items() if count)
    invocation.output.result(
        {"moved": moved, "unopened": lost},
        f"Moved to the newest master key: {text or 'nothing was left'}.",
    )
    if lost:
        raise CredentialError(
            f"{len(lost)} cannot be opened, because their master key is missing or they changed: "
            f"{', '.join(lost[:5])}{' …' if len(lost) > 5 else ''}. "
            "`sisgate keys masters` shows which master key is missing."
        )


@app.add("sisgate keys forget-master 3f1b", name="forget-master", needs=Needs.INSTALLATION)
def forget_master(
    invocation: Invocation,
    key_id: Annotated[
        str, typer.Argument(metavar="ID", help="Id of a master key, or the beginning of one.")
    ],
    reason: Reason = None,
) -> None:
    """Remove an unused master key from its file."""
    gone = invocation.installation.keys.master.forget(key_id, actor=user_name(), reason=reason)
    text = f"{gone} is forgotten. Backups that it sealed need a copy of it."
    invocation.output.result({"forgotten": gone}, text)
