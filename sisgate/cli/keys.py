"""`sisgate keys`: the providers' credentials and the master key. No secret is ever an argument."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from sisgate.cli import completion, master_keys
from sisgate.cli.invocation import invocation_of
from sisgate.cli.options import Json, Provider, examples
from sisgate.cli.output import Output
from sisgate.cli.screens import moment, table
from sisgate.credentials.keys import ACTIVE, SLOTS, add_key, list_keys
from sisgate.credentials.vault import vault_of
from sisgate.domain.secret import Secret
from sisgate.errors import UsageError
from sisgate.settings.load import read_secret_variable

app = typer.Typer(no_args_is_help=True, help="Store the providers' keys, encrypted.")


@app.command(
    epilog=examples(
        "sisgate keys add skyward", "sisgate keys add skyward --client-id 41 --secret-file ./secret"
    )
)
def add(
    context: typer.Context,
    provider: Provider,
    client_id: Annotated[
        str | None, typer.Option(help="Client id or consumer key.", show_default="asked for")
    ] = None,
    slot: Annotated[
        str,
        typer.Option(help=f"{', '.join(SLOTS)}.", autocompletion=completion.one_of(*SLOTS)),
    ] = "primary",
    secret_file: Annotated[
        Path | None,
        typer.Option(help="File with the secret; - for stdin.", show_default=False),
    ] = None,
    secret_env: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Variable with the secret.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Store a provider's key; the one of the same slot before it is retired."""
    invocation, output = invocation_of(context), Output(as_json)
    if provider not in invocation.settings.providers:
        invocation.gateway.provider(provider)
    if slot not in SLOTS:
        raise UsageError(f"--slot is one of {', '.join(SLOTS)}, not {slot!r}.")
    # The database first: where it is missing nothing was started yet, and that is what to say.
    database = invocation.database
    vault = vault_of(invocation.settings)
    client_id = client_id or _ask("Client id", hidden=False)
    secret = _secret(secret_file, secret_env)
    with database.write() as session:
        now = invocation.clock.now()
        key_id = add_key(session, vault, provider, client_id, secret, now, slot=slot)
    output.json({"key": key_id, "provider": provider, "slot": slot, "client_id": client_id})
    output.show(Text(f"Stored as the {slot} key of {provider}. `sisgate doctor` tries it out."))


@app.command("list", epilog=examples("sisgate keys list --json"))
def list_all(
    context: typer.Context,
    provider: Annotated[
        str | None,
        typer.Argument(
            help="Only of this provider.", autocompletion=completion.providers, show_default=False
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show which keys are stored. Their secrets stay sealed."""
    invocation, output = invocation_of(context), Output(as_json)
    with invocation.database.read() as session:
        found = list_keys(session, provider)
    output.json(
        [
            {
                "key": key.id, "provider": key.provider, "slot": key.slot, "state": key.state,
                "client_id": key.client_id, "created_at": key.created_at,
                "updated_at": key.updated_at,
            }
            for key in found
        ]
    )  # fmt: skip
    columns = ("provider", "slot", "state", "client id")
    more = () if output.is_narrow else ("stored", "key")
    made = table((*columns, *more), folds=("client id",))
    for key in found:
        colour = "green" if key.state == ACTIVE else "dim"
        made.add_row(
            key.provider, key.slot, Text(key.state, colour), key.client_id,
            *((moment(key.created_at), key.id[:8]) if more else ()),
        )  # fmt: skip
    output.show(made if found else Text("No keys yet. `sisgate keys add PROVIDER` stores one."))


def _secret(file: Path | None, variable: str | None) -> Secret:
    if file and variable:
        raise UsageError("Give --secret-file or --secret-env, not both.")
    if file:
        try:
            text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
        except OSError as error:
            raise UsageError(f"{file} cannot be read: {error.strerror}.") from error
        where = str(file)
    elif variable:
        text, where = read_secret_variable(variable) or "", f"the variable {variable}"
    else:
        text, where = _ask("Secret", hidden=True), "the answer"
    secret = text.strip("\r\n")
    if not secret:
        raise UsageError(f"There is no secret in {where}.")
    return Secret(secret)


def _ask(what: str, *, hidden: bool) -> str:
    if not sys.stdin.isatty():
        raise UsageError(
            f"{what} cannot be asked for, because the input is no terminal. Give --client-id, and "
            "the secret by --secret-file or --secret-env."
        )
    answer: str = typer.prompt(what, hide_input=hidden, err=True)
    return answer


app.command(epilog=master_keys.MASTER_EPILOG)(master_keys.master)
app.command(epilog=master_keys.MASTERS_EPILOG)(master_keys.masters)
app.command(epilog=master_keys.REWRAP_EPILOG)(master_keys.rewrap)
app.command("forget-master", epilog=master_keys.FORGET_EPILOG)(master_keys.forget_master)
