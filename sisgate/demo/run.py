"""One run of the demo: the sandbox and the whole stack, and every roster synced in full."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sisgate.clock import SystemClock
from sisgate.demo.folder import Demo, write_config
from sisgate.domain.states import JobKind, JobState, KeyState
from sisgate.gateway import Gateway, JobStatus
from sisgate.ledger import records
from sisgate.logs.lines import pretty
from sisgate.sandbox import SandboxProcess
from sisgate.settings import Settings, load_settings
from sisgate.stack.embedded_stack import EmbeddedStack

PROCESSES = 4


@dataclass(frozen=True)
class DemoRun:
    """What runs: the simulated districts, the stack, and a gateway to it."""

    sandbox: SandboxProcess
    stack: EmbeddedStack
    gateway: Gateway

    @property
    def settings(self) -> Settings:
        """The settings of the demo's own stack."""
        return self.gateway.settings

    def enqueue(self) -> dict[str, list[str]]:
        """Ask for every dataset in full, and return the ids of the jobs by provider.

        What an interrupted run left goes on instead.
        """
        jobs, datasets = self.gateway.jobs, self.gateway.datasets
        live = {
            (status.provider, status.resource): status.id
            for status in jobs.list(states=[JobState.ACCEPTED, JobState.RUNNING], limit=1000)
            if status.kind == JobKind.SYNC
        }
        return {
            name: [
                live.get((name, resource))
                or self.gateway.sync(name, resource, mode="full", app="demo").id
                for resource in datasets.roster(name)
            ]
            for name in self.settings.providers
        }

    def report(self, statuses: Mapping[str, Sequence[JobStatus]]) -> dict[str, Any]:
        """Return what the syncs cost and changed, by provider and in all."""
        providers = {
            name: _provider_report(self.gateway, name, found, self.sandbox.stats(name))
            for name, found in statuses.items()
        }
        sums = _totals(providers)
        jobs = [status for found in statuses.values() for status in found]
        ends = [status.ended_at for status in jobs if status.ended_at]
        begins = [status.accepted_at for status in jobs]
        return {
            "ok": all(status.state is JobState.DONE for status in jobs),
            "changed": bool(sums["inserted"] or sums["updated"] or sums["deleted"]),
            "seconds": round((max(ends) - min(begins)).total_seconds(), 2),
            "totals": sums,
            "providers": providers,
            "data_dir": self.settings.data_dir,
            "config": self.settings.config_file,
        }


@contextmanager
def running(
    demo: Demo, folder: Path, wanted: Callable[[], bool], hurry: Callable[[], bool]
) -> Iterator[DemoRun | None]:
    """Run the demo's sandbox and stack for the block; None when no longer `wanted()`.

    The stack's log is `up.log` in the folder. Raises what `EmbeddedStack` does.
    """
    with ExitStack() as exits:
        sandbox = exits.enter_context(SandboxProcess(demo.spec))
        settings = own_settings(write_config(folder, demo.spec, sandbox.districts), folder)
        log = exits.enter_context((folder / "up.log").open("w", buffering=1, encoding="utf-8"))
        stack = EmbeddedStack(
            settings,
            SystemClock(),
            on_event=lambda name, event: print(f"{name:<7} | {pretty(event)}", file=log),
        )
        stack.start(processes=PROCESSES, with_flower=False)
        exits.callback(stack.stop, hurry)
        if not stack.await_up(wanted):
            yield None
            return
        gateway = Gateway(settings)
        exits.callback(gateway.close)
        _store_keys(gateway, sandbox)
        yield DemoRun(sandbox, stack, gateway)


def own_settings(config: Path, folder: Path) -> Settings:
    """Return settings that leave servers and keys of the environment aside."""
    outer = ("broker_url", "database_url", "master_key_file", "master_key")
    return load_settings(config, data_dir=folder).model_copy(update=dict.fromkeys(outer))


def _store_keys(gateway: Gateway, sandbox: SandboxProcess) -> None:
    for district in sandbox.districts.values():
        keys = gateway.keys.of(district.name)
        known = {key.client_id for key in keys.list() if key.state is KeyState.ACTIVE}
        if district.client_id not in known:
            keys.add(district.client_id, district.client_secret, actor="demo")


def _provider_report(
    gateway: Gateway, name: str, statuses: Sequence[JobStatus], seen: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what one provider's roster cost and changed. `seen` are the sandbox's own counts."""
    with gateway.context.database.read() as session:
        live = {
            s.resource: records.count_live(session, name, s.resource)
            for s in statuses
            if s.resource
        }
    windows = gateway.providers.control(name).state().windows
    return {
        "resources": {s.resource: _resource(s, live) for s in statuses},
        "records": sum(live.values()),
        "calls": sum(s.calls_made for s in statuses),
        "limit": str(windows[0].rate) if windows else None,
        "quota_left": windows[0].left if windows else None,
        "seconds": _seconds(statuses),
        "sandbox": {
            "calls": seen["arrivals"],
            "throttled": seen["throttled"],
            "violations": seen["violations"],
            "quota_left": seen["quota_left"],
        },
    }


def _totals(providers: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Return the sums over all providers."""
    rows = [row for p in providers.values() for row in p["resources"].values()]
    return {
        "records": sum(p["records"] for p in providers.values()),
        **{word: sum(row[word] for row in rows) for word in ("inserted", "updated", "deleted")},
        "calls": sum(p["calls"] for p in providers.values()),
        "throttled": sum(p["sandbox"]["throttled"] for p in providers.values()),
    }


def _resource(status: JobStatus, live: Mapping[str, int]) -> dict[str, Any]:
    assert status.resource is not None
    return {
        "job": status.id,
        "state": status.state.value,
        "complete": status.complete,
        "records": live[status.resource],
        "inserted": status.inserted,
        "updated": status.updated,
        "deleted": status.deleted,
        "calls": status.calls_made,
        "seconds": _seconds([status]),
        "note": status.note,
        "error": dict(status.error) if status.error else None,
    }


def _seconds(statuses: Sequence[JobStatus]) -> float:
    begun = [s.started_at or s.accepted_at for s in statuses]
    ended = [s.ended_at for s in statuses if s.ended_at]
    return round((max(ended) - min(begun)).total_seconds(), 2) if ended else 0.0
