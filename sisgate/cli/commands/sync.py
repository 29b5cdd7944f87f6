"""`sisgate sync`: enqueues syncs of datasets, and follows them until they end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sisgate.cli.app import Commands
from sisgate.cli.exits import ExitCode
from sisgate.cli.following import accepting, follow, warn_of_fleet
from sisgate.cli.invocation import Invocation
from sisgate.cli.params import (
    App,
    IdempotencyKey,
    OnUnavailable,
    Priority,
    Reason,
    complete_provider,
    complete_resource,
)
from sisgate.cli.presenter import Presenter
from sisgate.cli.tables import Columns
from sisgate.domain.choices import Mode
from sisgate.domain.validation import some_of
from sisgate.errors import UnknownResource, UsageError

if TYPE_CHECKING:
    from sisgate.client import HttpGateway
    from sisgate.gateway import Gateway, Job, JobStatus, SyncResult

app = Commands()

MOST_FOLLOWED = 1_000
"""The most jobs that `--wait` follows when many providers are synced."""


@app.add(
    "sisgate sync powerschool --wait",
    "sisgate sync skyward students enrollments -p high --mode full",
    "sisgate sync --where pool=north students",
    'sisgate sync lincoln students --allow-deletes --reason "they have left; asked the district"',
    panel="Work",
)
def sync(
    invocation: Invocation,
    provider: Annotated[
        str | None,
        typer.Argument(
            help="Name of a provider, unless --all or --where chooses several.",
            autocompletion=complete_provider,
        ),
    ] = None,
    resources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RESOURCE]...",
            help="Datasets to sync. Default: the whole roster.",
            autocompletion=complete_resource,
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Sync all providers.")] = False,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Sync the providers with this pool, kind or name (* matches anything). May be "
            "repeated: all must hold.",
        ),
    ] = None,
    priority: Priority = "normal",
    mode: Annotated[Mode, typer.Option("--mode", help="How much of the dataset to read.")] = "auto",
    wait: Annotated[bool, typer.Option("--wait", help="Follow the jobs until they end.")] = False,
    timeout: Annotated[
        float | None, typer.Option(help="Deadline of the jobs, in seconds from now.")
    ] = None,
    allow_deletes: Annotated[
        bool, typer.Option("--allow-deletes", help="Approve any number of deletions.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Include datasets the provider has refused.")
    ] = False,
    idempotency_key: IdempotencyKey = None,
    app: App = None,
    reason: Reason = None,
    on_unavailable: OnUnavailable = "wait",
) -> None:
    """Sync datasets of a provider, or of many, into SQL."""
    if every or where:
        # The first word is no provider then, but a resource.
        named = [*filter(None, [provider]), *(resources or [])]
        options: dict[str, Any] = {
            "priority": priority, "mode": mode, "allow_deletes": allow_deletes, "timeout": timeout,
            "idempotency_key": idempotency_key, "app": app, "reason": reason, "with_absent": force,
        }  # fmt: skip
        if on_unavailable != "wait":
            raise UsageError("--on-unavailable is for one provider: the syncs of many always wait.")
        raise typer.Exit(_sync_many(invocation, _conditions(where or []), named, options, wait))
    if provider is None:
        raise UsageError("Name a provider, or choose several with --all or --where.")
    output = invocation.output
    gateway = invocation.gateway
    names = resources or gateway.datasets.roster(provider, with_absent=force)
    _check(invocation, provider, names)
    if not resources and not force:
        _note_absent(output, gateway, provider)
    jobs: list[Job] = []
    ids: list[str] = []
    with accepting(invocation, ids, f"provider:{provider}"):
        for resource in names:
            job = gateway.sync(
                provider,
                resource,
                priority=priority,
                mode=mode,
                allow_deletes=allow_deletes,
                idempotency_key=_key_of(idempotency_key, resource, len(names)),
                timeout=timeout,
                app=app,
                reason=reason,
                on_unavailable=on_unavailable,
            )
            jobs.append(job)
            ids.append(job.id)
        if all(job.is_stale for job in jobs):
            _show_stale(output, gateway.jobs.statuses(ids), jobs)
            return
        is_stopped = warn_of_fleet(invocation, [provider])
        if not wait:
            _show_accepted(invocation, output, gateway.jobs.statuses(ids), is_stopped=is_stopped)
            return
        raise typer.Exit(follow(invocation, {provider: ids}, timeout, is_stopped=is_stopped))


def _conditions(where: Sequence[str]) -> dict[str, str]:
    """Return the conditions of `--where`; `UsageError` for one that is malformed."""
    conditions: dict[str, str] = {}
    for text in where:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise UsageError(f"--where is written like pool=north, not {text[:40]!r}.")
        conditions[name] = value
    return conditions


def _sync_many(
    invocation: Invocation,
    where: Mapping[str, str],
    resources: Sequence[str],
    options: Mapping[str, Any],
    wait: bool,
) -> ExitCode:
    """Enqueue syncs of many providers; show what was accepted and what was refused."""
    output = invocation.output
    with accepting(invocation, (), "kind:sync"), output.progress() as bars:
        bar = bars.add_task("accepting", total=None)
        results = invocation.gateway.sync_many(
            where,
            resources,
            progress=lambda done, total: bars.update(bar, completed=done, total=total),
            **options,
        )
    _show_results(output, results)
    accepted = [(each.provider, each.job.id) for each in results if each.job]
    code = ExitCode.OK if len(accepted) == len(results) else ExitCode.FAILED
    if not accepted:
        return code
    with accepting(invocation, [job for _, job in accepted], "kind:sync"):
        followed = _follow_many(invocation, accepted, options["timeout"], wait)
    return followed if followed is not ExitCode.OK else code


def _follow_many(
    invocation: Invocation, accepted: Sequence[tuple[str, str]], timeout: float | None, wait: bool
) -> ExitCode:
    """Follow jobs, given with their providers, or say how to; return how they ended."""
    output = invocation.output
    is_stopped = warn_of_fleet(invocation, dict(accepted))
    if not wait:
        sisgate = invocation.command
        output.note(f"They run in the background. `{sisgate} jobs list` shows them.")
        return ExitCode.OK
    if len(accepted) > MOST_FOLLOWED:
        output.note(f"More than {MOST_FOLLOWED:,} jobs are not followed: see `sisgate jobs list`.")
        return ExitCode.OK
    jobs: dict[str, list[str]] = {}
    for provider, job in accepted:
        jobs.setdefault(provider, []).append(job)
    return follow(invocation, jobs, timeout, is_stopped=is_stopped)


def _show_results(output: Presenter, results: Sequence[SyncResult]) -> None:
    by_provider: dict[str, list[SyncResult]] = {}
    for result in results:
        by_provider.setdefault(result.provider, []).append(result)

    def count(state: Callable[[SyncResult], bool]) -> Callable[[Any], int]:
        return lambda row: sum(map(state, row[1]))

    output.table(
        list(by_provider.items()),
        {
            "provider": lambda row: row[0],
            "accepted": count(lambda each: each.job is not None and each.job.is_new),
            "accepted before": count(lambda each: each.job is not None and not each.job.is_new),
            "refused": count(lambda each: each.error is not None),
        },
        json=[result.as_dict() for result in results],
    )
    reasons: dict[str, list[str]] = {}
    for result in results:
        if result.error is not None:
            names = reasons.setdefault(result.error.message, [])
            names += [result.provider] if result.provider not in names else []
    for reason, names in reasons.items():
        output.warn(f"{some_of(names, 5)}: {reason}")


def _show_stale(output: Presenter, statuses: Sequence[JobStatus], jobs: Sequence[Job]) -> None:
    """Show the age of the data when nothing was enqueued because the provider takes no calls."""
    ages = {job.id: job.age_seconds or 0.0 for job in jobs}
    output.table(
        statuses,
        {
            "resource": "resource",
            "last synced by": "id",
            "age": lambda status: timedelta(seconds=ages[status.id]),
        },
        json=[{**status.as_dict(), "age_seconds": ages[status.id]} for status in statuses],
    )
    output.warn(
        f"{statuses[0].provider} takes no calls now, so nothing was enqueued. `sisgate records` "
        "shows the data of earlier syncs."
    )


def _note_absent(output: Presenter, gateway: Gateway | HttpGateway, provider: str) -> None:
    names = [each.resource for each in gateway.datasets.absent(provider)]
    if names:
        output.note(
            f"Skipping {', '.join(names)}, which {provider} refused. `sisgate providers show "
            f"{provider}` says why, and when to try again; --force tries now."
        )


def _check(invocation: Invocation, provider: str, resources: Sequence[str]) -> None:
    # All or nothing: a typo in the last name must not leave the first ones enqueued.
    try:
        invocation.gateway.datasets.check(provider, *resources)
    except UnknownResource as error:
        raise UnknownResource(f"{error} Nothing was enqueued.", **error.detail) from error


def _key_of(key: str | None, resource: str, count: int) -> str | None:
    # Each dataset needs its own key.
    return f"{key}/{resource}" if key and count > 1 else key


def _show_accepted(
    invocation: Invocation, output: Presenter, statuses: Sequence[JobStatus], *, is_stopped: bool
) -> None:
    columns: Columns = {
        "job": "id", "provider": "provider", "resource": "resource", "state": "state",
        "priority": lambda status: status.priority.word,
    }  # fmt: skip
    output.table(statuses, columns)
    sisgate = invocation.command
    output.note(
        f"They run in the background{' then' if is_stopped else ''}. "
        f"Show one with `{sisgate} jobs show {statuses[0].id[:8]}`, "
        f"all with `{sisgate} jobs list`; `sync --wait` follows jobs until they end."
    )
