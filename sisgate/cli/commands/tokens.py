"""`sisgate tokens`: access tokens of apps and people. A token is shown only when created."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from sisgate.cli.app import Commands
from sisgate.cli.formats import moment, state
from sisgate.cli.invocation import Invocation, user_name
from sisgate.cli.params import Overlap, Reason, length_or_never
from sisgate.cli.presenter import Presenter, write_line
from sisgate.cli.tables import Columns
from sisgate.gateway import Role

if TYPE_CHECKING:
    from sisgate.gateway import TokenInfo

app = Commands("tokens", "Create, list, revoke and replace access tokens.", panel="Set up")
YEAR = timedelta(days=365)

TokenId = Annotated[str, typer.Argument(metavar="ID", help="As `sisgate tokens list` shows it.")]
Life = Annotated[
    timedelta | None,
    typer.Option(
        "--expires",
        parser=length_or_never,
        metavar="LENGTH",
        show_default="365d",
        help="How long it is valid, such as 90d, or never.",
    ),
]


@app.add(
    "sisgate tokens add gradebook --role app --scope powerschool/students",
    "sisgate tokens add ana --role operator --expires 90d",
    note="Into a file: sisgate tokens add gradebook --role app > token",
)
def add(
    invocation: Invocation,
    name: Annotated[str, typer.Argument(help="The app or person that uses it.")],
    roles: Annotated[
        list[Role],
        typer.Option(
            "--role", "-r", help="What it may do. May be repeated.",
        ),
    ],
    scopes: Annotated[
        list[str] | None,
        typer.Option(
            "--scope", "-s", metavar="PROVIDER[/RESOURCE]",
            help="Where it is valid. May be repeated.", show_default="everything",
        ),
    ] = None,
    expires: Life = YEAR,
    reason: Reason = None,
) -> None:  # fmt: skip
    """Create a token, and show it this once on stdout."""
    for scope in scopes or ():
        _check_scope(invocation, scope)
    token = invocation.gateway.tokens.add(
        name, roles, scopes=scopes or ["*"], life=expires, actor=user_name(), reason=reason
    )
    _show_once(invocation.output, token)


def _check_scope(invocation: Invocation, scope: str) -> None:
    """Raise `UnknownProvider` or `UnknownResource` for a scope that matches nothing."""
    provider, _, resource = scope.partition("/")
    resources = [] if resource in {"", "*"} else [resource]
    if provider != "*" or resources:
        invocation.gateway.datasets.check(provider, *resources)


@app.add("sisgate tokens list --all", name="list")
def list_tokens(
    invocation: Invocation,
    every: Annotated[
        bool, typer.Option("--all", help="Include expired and revoked tokens.")
    ] = False,
) -> None:
    """List tokens: their roles, scopes and last use."""
    tokens = invocation.gateway.tokens.list(every=every)
    columns: Columns = {
        "id": "id",
        "name": "name",
        "roles": "roles",
        "state": lambda token: state(token.state),
        "scopes": "scopes",
        "expires": "expires_at",
        "last used": "last_used_at",
    }
    empty = "No tokens. Create one with `sisgate tokens add NAME --role app`."
    invocation.output.table(tokens, columns, empty=empty)


@app.add("sisgate tokens revoke 7fGh2kQp9Z --reason 'laptop lost'")
def revoke(invocation: Invocation, token: TokenId, reason: Reason = None) -> None:
    """Revoke a token for the whole fleet, within a second."""
    ended = invocation.gateway.tokens.revoke(token, actor=user_name(), reason=reason)
    invocation.output.result(ended, f"Token {ended.id} of {ended.name} is revoked.")


@app.add("sisgate tokens rotate 7fGh2kQp9Z --overlap 2h")
def rotate(
    invocation: Invocation,
    token: TokenId,
    overlap: Overlap = timedelta(days=1),
    expires: Life = YEAR,
    reason: Reason = None,
) -> None:
    """Replace a token with a new one of the same name, roles and scopes."""
    new = invocation.gateway.tokens.rotate(
        token, overlap=overlap, life=expires, actor=user_name(), reason=reason
    )
    _show_once(invocation.output, new)


def _show_once(output: Presenter, token: TokenInfo) -> None:
    output.json(token)
    if output.as_json or token.token is None:
        return
    write_line(token.token.get_secret_value())
    life = f"valid until {moment(token.expires_at)}" if token.expires_at else "never expires"
    output.note(
        f"Token {token.id} of {token.name} ({', '.join(token.roles)}; {', '.join(token.scopes)}), "
        f"{life}. It is not shown again: store it as a secret."
    )
