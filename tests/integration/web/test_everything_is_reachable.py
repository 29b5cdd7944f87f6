"""What the gateway and the command line can do, /v1 can do, but for what has a reason here."""

import inspect
import re
from functools import cached_property
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import typer

from sisgate import Gateway, web
from sisgate.cli.main import app as command_line
from sisgate.gateway.breakers import ProviderBreakers
from sisgate.gateway.control import ProviderControl
from sisgate.gateway.keys import ProviderKeys
from sisgate.gateway.master_keys import MasterKeys
from sisgate.privacy.retention import Retention
from sisgate.start_up import LazyPart

IN_PROCESS = "it is about the gateway as an object of this process"
BY_HOST = "it reads or writes files and secrets of the host it runs on"
IN_OVERVIEW = "GET /v1/providers/{provider} shows it"
A_STEP = "a step of `requests.begin`, which make_request calls"
OF_CONSOLE = "the console signs people in with it"
OF_WORKERS = "only workers and beat call it"

NOT_BY_HTTP = {
    "acting_as": IN_PROCESS,
    "close": IN_PROCESS,
    "for_session": OF_CONSOLE,
    "from_env": IN_PROCESS,
    "on": IN_PROCESS,
    "request": "POST /v1/requests with Prefer: wait=N is it",
    "records": "list_records",
    "answer": "get_answer",
    "job": "get_job: the object is a handle on it",
    "jobs.job": "get_job: the object is a handle on it",
    "jobs.find": "for short ids that people type",
    "jobs.of_call": "for numbers of calls that people see in Flower",
    "jobs.wait": "get_job with Prefer: wait=N",
    "jobs.ended_within": "get_job with Prefer: wait=N",
    "jobs.watch": "follow_job",
    "jobs.answer": "get_answer",
    "jobs.refuse": OF_WORKERS,
    "jobs.why_unanswered": "the problem document of an expired job says it",
    "datasets.check": "every route checks its datasets",
    "datasets.plan": "get_plan",
    "datasets.records": "list_records",
    "datasets.changes": "list_changes",
    "datasets.rosters": "many of what list_datasets returns",
    "requests.answered": A_STEP,
    "requests.begin_alone": A_STEP,
    "requests.concluded": A_STEP,
    "requests.enqueue": A_STEP,
    "requests.order": A_STEP,
    "requests.wanted": A_STEP,
    "alerts.config": "get_configuration",
    "alerts.evaluate": OF_WORKERS,
    "sla.burn_rates": "alerts and GET /metrics show them",
    "schedules.run_due": OF_WORKERS,
    "configuration.current": "get_configuration",
    "configuration.version": "get_configuration",
    "configuration.check": "diff_configuration checks as well",
    "configuration.plan_rollback": "diff_configuration with the document of a version",
    "providers.get": "get_configuration",
    "providers.urls": IN_OVERVIEW,
    "providers.control.limits": IN_OVERVIEW,
    "providers.control.outlook": IN_OVERVIEW,
    "keys.master.make": BY_HOST,
    "keys.master.renew": BY_HOST,
    "keys.master.check_ledger": BY_HOST,
    "keys.master.forget": BY_HOST,
    "keys.master.give_up": BY_HOST,
    "tokens.authenticate": "every request does it",
    "audit.follow": "search_events with `since`",
    "audit.sealed_events": "verify_audit_log counts them",
    "audit.verify_export": BY_HOST,
    "audit.archive": BY_HOST,
    "audit.new_key": BY_HOST,
    "audit.keys": BY_HOST,
    "sessions.begin": OF_CONSOLE,
    "sessions.end": OF_CONSOLE,
    "sessions.principal": OF_CONSOLE,
    "ledger.version": "get_ready",
    "ledger.upgrade": "the service needs its tables before it starts",
}

OF_THE_MACHINE = {"celery", "env", "powerschool-plugin", "sandbox", "serve", "up"}
"""Commands that run or connect programs of one machine."""

BELOW = {
    "providers.control": ProviderControl,
    "providers.breakers": ProviderBreakers,
    "keys.of": ProviderKeys,
    "keys.master": MasterKeys,
    "privacy.retention": Retention,
}
"""What parts return that has methods of its own."""


def public(kind: type) -> list[str]:
    """Return the public methods and properties of a class."""
    members = inspect.getmembers(kind, lambda each: callable(each) or isinstance(each, property))
    return [name for name, _ in members if not name.startswith("_")]


def all_methods(gateway: Gateway) -> list[str]:
    """Return the methods of a gateway, of its parts, and of what those return."""
    names = public(Gateway)
    for part, _ in inspect.getmembers(
        Gateway, lambda each: isinstance(each, cached_property | LazyPart)
    ):
        if not part.startswith("_"):
            names += [f"{part}.{name}" for name in public(type(getattr(gateway, part)))]
    below = [f"{place}.{name}" for place, kind in BELOW.items() for name in public(kind)]
    return [name for name in names if name not in BELOW] + below


def source_of(package: Any) -> str:
    """Return the source of a package, in one line."""
    modules = [each.name for each in walk_packages(package.__path__, f"{package.__name__}.")]
    files = (import_module(name).__file__ for name in modules)
    texts = (Path(file).read_text(encoding="utf-8") for file in files if file)
    return re.sub(r"\s+", " ", " ".join(texts))


def is_used(place: str, source: str) -> bool:
    """Return whether a method is called on a gateway, or on a part that was taken from it."""
    *parts, name = place.split(".")
    if parts in (["keys", "of"], ["providers", "breakers"], ["providers", "control"]):
        owner = {"of": "keys"}.get(parts[1], parts[1])
        return (
            re.search(rf"\b{owner}(\([a-z_]+\))?(\.of\([a-z_]+\))?\.{name}\b", source) is not None
        )
    owner = ".".join(parts) or r"(caller|gateway|_gateway)"
    return re.search(rf"\b{owner}\.{name}\b", source) is not None


def test_whatever_the_gateway_does_can_be_asked_for_by_http(gateway: Gateway) -> None:
    """A new method needs a route, or a reason."""
    methods, source = all_methods(gateway), source_of(web)
    missing = [name for name in methods if name not in NOT_BY_HTTP and not is_used(name, source)]
    assert missing == []
    assert set(NOT_BY_HTTP) <= set(methods), "a reason for what is no more"
    assert len(methods) > 80


def commands(app: typer.Typer, before: str = "") -> dict[str, Any]:
    """Return the functions of all commands by their words."""
    found: dict[str, Any] = {}
    for each in app.registered_commands:
        assert each.callback is not None
        found[f"{before}{each.name or each.callback.__name__.replace('_', '-')}"] = each.callback
    for group in app.registered_groups:
        assert group.typer_instance is not None
        name = group.typer_instance.info.name
        inner = f"{before}{name} " if isinstance(name, str) else before
        found |= commands(group.typer_instance, inner)
    return found


def test_every_command_asks_the_gateway() -> None:
    """And so, by the test above, can be done by HTTP."""
    found = commands(command_line)
    silent = {
        name for name, run in found.items() if ".gateway" not in inspect.getsource(_module_of(run))
    }
    assert silent == OF_THE_MACHINE
    assert len(found) > 60


def _module_of(run: Any) -> Any:
    closed = inspect.getclosurevars(run).nonlocals["function"]
    return inspect.getmodule(closed)
