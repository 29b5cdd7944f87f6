"""Options and arguments that several commands share: times, secrets, names.

A time is relative (90s, 30m, 2h, 1d, PT15M) or ISO 8601, in this machine's zone unless it names
one.
"""

import re
import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from sisgate.cli.invocation import Invocation, names_installation
from sisgate.clock import SystemClock
from sisgate.domain.choices import OnUnavailable as Instead
from sisgate.domain.moments import parse_duration
from sisgate.domain.priorities import PRIORITIES, PriorityName
from sisgate.domain.records import ROSTER
from sisgate.domain.secret import Secret
from sisgate.errors import UsageError


def complete_provider(context: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a configured provider. Never fails."""
    with suppress(Exception):  # the command itself says what is wrong
        with closing(_invocation(context)) as invocation:
            names = invocation.gateway.providers.names()
        return [name for name in sorted(names) if name.startswith(incomplete)]
    return []


def complete_resource(context: typer.Context, incomplete: str) -> list[str]:
    """Complete a resource of the provider named before it."""
    names: Sequence[str] = ROSTER
    with suppress(Exception):
        with closing(_invocation(context)) as invocation:
            found = invocation.gateway.providers.overview(context.params["provider"])
        names = found.providers[0].resources
    return [name for name in names if name.startswith(incomplete)]


def _invocation(context: typer.Context) -> Invocation:
    root = context.find_root()
    options: dict[str, Any] = {**root.params}
    invocation = Invocation(options.get("config"), options.get("data_dir"), url=options.get("url"))
    invocation.is_here, invocation.is_completion = names_installation(root), True
    invocation.take(context.params)
    return invocation


def length(text: str | timedelta) -> timedelta:
    """Parse a length of time such as 90s, 30m, 2h, 1d or PT15M; `UsageError` if it is malformed.

    A `timedelta` is returned as is, because typer also parses defaults.

    >>> length("2h")
    datetime.timedelta(seconds=7200)
    """
    if isinstance(text, timedelta):
        return text
    try:
        return parse_duration(text)
    except ValueError as error:
        message = str(error)
        raise UsageError(f"{message[:1].upper()}{message[1:]}.") from None


def length_or_never(text: str | timedelta) -> timedelta | None:
    """Parse a length of time; None for `never`."""
    return None if text == "never" else length(text)


def at(text: str, now: datetime, direction: int) -> datetime:
    """Parse a time; a length counts forward (`direction` 1) or back (-1) from `now`.

    >>> from datetime import UTC
    >>> now = datetime(2026, 9, 1, 8, tzinfo=UTC)
    >>> str(at("2h", now, -1)), str(at("2026-12-01T06:00-06:00", now, 1))
    ('2026-09-01 06:00:00+00:00', '2026-12-01 06:00:00-06:00')
    """
    if re.fullmatch(r"P.*|[0-9]+[a-z]", text):
        return now + direction * length(text)
    try:
        time = datetime.fromisoformat(text)
        # This machine's zone may not have that year.
        return time if time.tzinfo else time.astimezone()
    except (ValueError, OverflowError):
        raise UsageError(
            "A time is written like 90s, 30m, 2h or 1d, or in ISO 8601 like "
            f"2026-12-01T06:00-06:00, not {text[:40]!r}."
        ) from None


def past(text: str) -> datetime:
    """Parse the time of an option such as `--since`."""
    return at(text, SystemClock().now(), -1)


def future(text: str) -> datetime:
    """Parse a future time, of an option such as `--until`."""
    now = SystemClock().now()
    end = at(text, now, 1)
    if end <= now:
        raise UsageError(f"{text[:40]} has already passed.")
    return end


def time_ago(what: str, *names: str, **more: Any) -> Any:
    """Return an option for a past time; `what` begins its help."""
    rule = "2h or 1d ago, or ISO 8601; without a zone, this machine's."
    return typer.Option(*names, parser=past, metavar="TIME", help=f"{what}: {rule}", **more)


def time_ahead(what: str, *names: str, **more: Any) -> Any:
    """Return an option for a future time; `what` begins its help."""
    rule = "30m, 2h or 1d from now, or ISO 8601; without a zone, this machine's."
    return typer.Option(*names, parser=future, metavar="TIME", help=f"{what}: {rule}", **more)


def entered_client_id(client_id: str | None) -> str:
    """Return the client id, prompting if it is None."""
    return client_id or _prompt("Client id", hidden=False)


def entered_secret(file: Path | None, variable: str | None) -> Secret:
    """Return the secret from a file, stdin (`-`), a variable or a prompt.

    Raises `UsageError` if it is empty or two sources are given.
    """
    from sisgate.settings.files import decode_text, read_text
    from sisgate.settings.load import read_secret_variable

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
        text, where = _prompt("Secret", hidden=True), "the answer"
    secret = text.strip("\r\n")
    if not secret:
        raise UsageError(f"There is no secret in {where}.")
    return Secret(secret)


def _prompt(what: str, *, hidden: bool) -> str:
    if not sys.stdin.isatty():
        raise UsageError(
            f"Cannot prompt for the {what.lower()}: the input is not a terminal. Give --client-id, "
            "and the secret with --secret-file or --secret-env."
        )
    answer: str = typer.prompt(what, hide_input=hidden, err=True)
    return answer


Provider = Annotated[
    str, typer.Argument(help="Name of a configured provider.", autocompletion=complete_provider)
]
MaybeProvider = Annotated[
    str | None, typer.Argument(help="Only this provider.", autocompletion=complete_provider)
]
OfProvider = Annotated[
    str | None,
    typer.Option("--provider", help="Only this provider.", autocompletion=complete_provider),
]
Resource = Annotated[
    str,
    typer.Argument(
        help="A dataset, such as students, classes or enrollments.",
        autocompletion=complete_resource,
    ),
]
OneJob = Annotated[str, typer.Argument(metavar="JOB", help="Id, or the beginning of one.")]
Priority = Annotated[
    PriorityName,
    typer.Option(
        "--priority", "-p", metavar="|".join(PRIORITIES), help="More urgent work runs first."
    ),
]
App = Annotated[str | None, typer.Option("--app", help="Name of the calling app in the ledger.")]
IdempotencyKey = Annotated[
    str | None, typer.Option("--idempotency-key", help="The same key returns the same job.")
]
Reason = Annotated[str | None, typer.Option("--reason", help="Why, for the audit log.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask for confirmation.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")]
Overlap = Annotated[
    timedelta,
    typer.Option(
        "--overlap", parser=length, metavar="LENGTH", show_default="1d",
        help="How long the old one stays valid, such as 0s, 2h or 1d.",
    ),
]  # fmt: skip
Purpose = Annotated[str | None, typer.Option(help="Why the data is read, for the audit log.")]
OnUnavailable = Annotated[
    Instead,
    typer.Option(
        "--on-unavailable",
        help="If the provider takes no calls: wait, fail at once, or return old data.",
    ),
]
ClientId = Annotated[
    str | None, typer.Option(help="Client id or consumer key.", show_default="prompt")
]
SecretFile = Annotated[Path | None, typer.Option(help="File with the secret; - for stdin.")]
SecretEnv = Annotated[str | None, typer.Option(metavar="NAME", help="Variable with the secret.")]
