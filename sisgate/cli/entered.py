"""Secrets as they are entered: asked for, from a file, stdin or a variable. Never an argument."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sisgate.domain.secret import Secret
from sisgate.errors import UsageError
from sisgate.settings.files import decode_text, read_text
from sisgate.settings.load import read_secret_variable

ClientId = Annotated[
    str | None, typer.Option(help="Client id or consumer key.", show_default="asked for")
]
SecretFile = Annotated[
    Path | None, typer.Option(help="File with the secret; - for stdin.", show_default=False)
]
SecretEnv = Annotated[
    str | None, typer.Option(metavar="NAME", help="Variable with the secret.", show_default=False)
]


def entered_client_id(given: str | None) -> str:
    """Return the client id that was given, or is asked for."""
    return given or _ask("Client id", hidden=False)


def entered_secret(file: Path | None, variable: str | None) -> Secret:
    """Return the secret; `UsageError` where there is none, or two places are named."""
    if file and variable:
        raise UsageError("Give --secret-file or --secret-env, not both.")
    if file:
        try:
            text = decode_text(sys.stdin.buffer.read()) if str(file) == "-" else read_text(file)
        except OSError as error:
            raise UsageError(f"{file} cannot be read: {error.strerror}.") from error
        except ValueError as error:
            raise UsageError(f"The secret in {file} cannot be read: {error}.") from None
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
