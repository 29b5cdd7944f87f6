"""`sisgate providers add`, `edit`, `remove` and `rename-endpoint`: one provider, without a file."""

import tomllib
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from sisgate.cli.changes import apply_plan, confirm
from sisgate.cli.commands import providers
from sisgate.cli.formats import number
from sisgate.cli.invocation import Invocation, user_name
from sisgate.cli.params import DryRun, Provider, Reason, Yes, complete_provider
from sisgate.errors import UsageError

app = providers.app

TEXTS = frozenset({"version"})
"""Settings that are texts, even if they look like numbers."""

Settings = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME=VALUE...",
        help="As in sisgate.toml: limit=500/h, retry.tries=3; url=URL adds an endpoint.",
    ),
]
Unset = Annotated[
    list[str] | None, typer.Option("--unset", metavar="NAME", help="Return it to its default.")
]


def parsed(texts: list[str] | None) -> dict[str, Any]:
    """Return settings written as NAME=VALUE. A value is TOML, or else a text.

    >>> parsed(["kind=skyward", "limit=9/s", "burst=3", "url=https://a.test", "retry.tries=2"])
    ... # doctest: +NORMALIZE_WHITESPACE
    {'kind': 'skyward', 'limit': '9/s', 'burst': 3, 'retry.tries': 2,
     'endpoints': [{'url': 'https://a.test'}]}
    """
    settings: dict[str, Any] = {}
    urls: list[str] = []
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"{text!r} is not NAME=VALUE, such as limit=500/h.")
        if name == "url":
            urls.append(value)
        elif name in settings:
            raise UsageError(f"{name} is given twice.")
        else:
            settings[name] = value if name in TEXTS else _value(value)
    if urls:
        if "endpoints" in settings:
            raise UsageError("Give url or endpoints, not both.")
        settings["endpoints"] = [{"url": url} for url in urls]
    return settings


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


@app.add(
    "sisgate providers add lincoln kind=powerschool url=https://ps.lincoln.example limit=1000/h",
    note="All settings: docs/reference/configuration.md. Keys: `sisgate keys add`.",
)
def add(
    invocation: Invocation,
    name: Annotated[str, typer.Argument(metavar="PROVIDER", help="Name of the new provider.")],
    settings: Settings = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    reason: Reason = None,
) -> None:
    """Add a provider to the configuration of the fleet."""
    plan = invocation.gateway.configuration.plan_provider(name, parsed(settings))
    apply_plan(invocation, plan, yes=yes, reason=reason, dry_run=dry_run)


@app.add(
    "sisgate providers edit lincoln limit=500/h retry.tries=3",
    "sisgate providers edit lincoln --unset burst",
)
def edit(
    invocation: Invocation,
    provider: Provider,
    settings: Settings = None,
    unset: Unset = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    reason: Reason = None,
) -> None:
    """Change settings of a provider. Calls under way finish with the old ones."""
    if not settings and not unset:
        raise UsageError(f"Name a setting, as in `sisgate providers edit {provider} limit=500/h`.")
    configuration = invocation.gateway.configuration
    plan = configuration.plan_edit(provider, parsed(settings), unset or ())
    apply_plan(invocation, plan, yes=yes, reason=reason, dry_run=dry_run)


@app.add(
    "sisgate providers remove lincoln --reason 'contract ended'",
    "sisgate providers remove lincoln --purge",
)
def remove(
    invocation: Invocation,
    providers: Annotated[
        list[str],
        typer.Argument(
            metavar="PROVIDER...", help="Which to remove.", autocompletion=complete_provider
        ),
    ],
    purge: Annotated[
        bool, typer.Option("--purge", help="Delete their records and changes as well.")
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    reason: Reason = None,
) -> None:
    """Remove providers and their schedules. Waiting work ends as cancelled; records stay."""
    configuration = invocation.gateway.configuration
    known = set(invocation.gateway.providers.names())
    configured = [name for name in providers if name in known]
    output = invocation.output
    left = {name: configuration.left_by(name) for name in providers} if purge else {}
    for name, rows in left.items():
        output.show(f"--purge deletes {_rows(rows)} of {name}.")
    if configured or not purge:
        plan = configuration.plan_removal(*(configured if purge else providers))
        apply_plan(invocation, plan, yes=yes, reason=reason, dry_run=dry_run, quiet=purge)
    if not purge:
        return
    if dry_run:
        output.json({"remove": configured, "purge": left, "applied": False})
        return
    confirm(output, f"Delete the data of {', '.join(providers)}?", yes=yes)
    gone = {name: configuration.purge(name, actor=user_name(), reason=reason) for name in providers}
    deleted = "; ".join(f"{_rows(rows)} of {name}" for name, rows in gone.items())
    output.result({"removed": configured, "purged": gone}, f"Deleted {deleted}.")


def _rows(rows: Mapping[str, int]) -> str:
    """Return what is deleted, without the tables that only serve the others."""
    texts = [f"{number(rows[name])} {name}" for name in ("records", "changes", "responses")]
    return f"{', '.join(texts[:-1])} and {texts[-1]}"


@app.add(
    "sisgate providers rename-endpoint lincoln https://old.example https://new.example",
    name="rename-endpoint",
)
def rename_endpoint(
    invocation: Invocation,
    provider: Provider,
    old: Annotated[str, typer.Argument(metavar="OLD_URL", help="URL of the endpoint.")],
    new: Annotated[str, typer.Argument(metavar="NEW_URL", help="Its new URL.")],
    yes: Yes = False,
    dry_run: DryRun = False,
    reason: Reason = None,
) -> None:
    """Give an endpoint another URL. Its weight and group stay; breaker and health start anew."""
    plan = invocation.gateway.configuration.plan_renamed_endpoint(provider, old, new)
    apply_plan(invocation, plan, yes=yes, reason=reason, dry_run=dry_run)
