"""Every route, as the application has it, for every role and scope: what the policy says."""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, NamedTuple

import pytest
from fastapi import FastAPI

from sisgate import Gateway
from sisgate.access.policy import Action, Principal, Role, Scope, decide, decide_role
from sisgate.web import routers
from testbed.web_service import WebService
from tests.integration.web.conftest import MakeToken

PROVIDER, RESOURCE = "open", "students"
SCOPES = ("*", PROVIDER, f"{PROVIDER}/{RESOURCE}", f"*/{RESOURCE}", "twin", f"{PROVIDER}/classes")
ROLES = (("app",), ("viewer",), ("operator",), ("admin",))

BODIES: dict[str, Any] = {
    "create_sync": {"provider": PROVIDER, "resource": RESOURCE},
    "create_request": {"provider": PROVIDER, "method": "GET", "path": "/x"},
    "make_request": {"provider": PROVIDER, "method": "GET", "path": "/x", "timeout": 0.01},
    "create_jobs": {"items": [{"kind": "sync", "provider": PROVIDER, "resource": RESOURCE}]},
    "resolve_job": {"resolution": "done"},
    "review_jobs": {"query": "state:failed"},
    "act_on_jobs": {"query": "state:failed provider:none"},
    "set_limits": {"limits": None},
    "set_breakers": {"state": "auto"},
    "add_key": {"client_id": "c", "secret": "s"},
    "add_token": {"name": "made", "roles": ["viewer"]},
    "add_webhook": {"events": ["job.ended"]},
    "diff_configuration": {"document": {}},
    "apply_configuration": {"document": {}, "based_on": 7},
    "run_retention": {"seconds": 1},
    "add_silence": {"until": "2099-01-01T00:00:00Z", "provider": PROVIDER},
    "create_many_syncs": {"where": {"name": PROVIDER}, "resources": [RESOURCE]},
    "plan_edit": {"edit": {"change": "remove", "providers": ["none"]}},
    "apply_edit": {"edit": {"change": "edit", "provider": PROVIDER}},
    "purge_provider": {"provider": "none"},
    "try_transform": {"path": "/x"},
    "erase_person": {"provider": PROVIDER, "sourced_id": "1", "dry_run": True},
    "lift_erasure": {"provider": PROVIDER, "sourced_id": "1", "reason": "test"},
    "find_disclosures": {"provider": PROVIDER, "sourced_id": "1"},
    "get_record_history": {"sourced_id": "1"},
    "open_records": {"ids": ["1"]},
    "find_pseudonyms": {"provider": PROVIDER, "sourced_id": "1"},
}
"""The bodies of routes that need one; others get an empty object, or none if they take none."""

PLACES = {"provider": PROVIDER, "resource": RESOURCE, "name": "nightly"}
"""Of the configuration: `nightly` is a schedule of the provider."""


class Operation(NamedTuple):
    """One route with one method."""

    name: str
    method: str
    path: str
    action: Action | None
    where: str
    takes_body: bool


def operations(app: FastAPI) -> Iterator[Operation]:
    """The operations of the application's OpenAPI document."""
    for path, methods in app.openapi()["paths"].items():
        for method, about in methods.items():
            action = about["x-sisgate-action"]  # each route says what it needs
            needed = None if action == "open" else Action(action)
            yield Operation(
                about["operationId"], method.upper(), path, needed,
                about.get("x-sisgate-where", ""), "requestBody" in about,
            )  # fmt: skip


def expected(principal: Principal, action: Action, where: str) -> str:
    """What the policy says: `allowed`, `refused`, or `hidden` for a job that may not be seen."""
    match where:
        case "anywhere":
            allowed = decide_role(principal, action).allowed
        case "installation":
            allowed = decide(principal, action).allowed
        case "provider":
            allowed = decide(principal, action, PROVIDER).allowed
        case "part of provider":
            here = any(scope.provider in {"*", PROVIDER} for scope in principal.scopes)
            allowed = decide_role(principal, action).allowed and here
        case "dataset":
            allowed = decide(principal, action, PROVIDER, RESOURCE).allowed
        case "job" | "provider of job":
            if not decide(principal, Action.LOOK, PROVIDER, RESOURCE).allowed:
                return "hidden"
            resource = RESOURCE if where == "job" else None
            allowed = decide(principal, action, PROVIDER, resource).allowed
        case "provider of schedule":
            allowed = decide(principal, action, PROVIDER).allowed
        case _:
            pytest.fail(f"no route is {where!r}")
    return "allowed" if allowed else "refused"


def ask(service: WebService, each: Operation, token: str | None, job: str) -> tuple[int, str]:
    """Call one operation; return its status, and the code of its problem."""
    names = {"job_id": job, "number": "1", "action": "retry", **PLACES}
    path = each.path
    for name in [part[1:-1] for part in path.split("/") if part.startswith("{")]:
        path = path.replace(f"{{{name}}}", names.get(name, "none"))
    body = {"json": BODIES.get(each.name, {})} if each.takes_body else {}
    with service.ask(each.method, path, token=token, stream=True, **body) as answer:
        kind = answer.headers.get("Content-Type", "")
        code = answer.json()["code"] if kind == "application/problem+json" else ""
        return answer.status_code, code


@pytest.mark.parametrize("roles", ROLES, ids="+".join)
def test_every_route_decides_as_the_policy(
    service: WebService, gateway: Gateway, make_token: MakeToken, roles: tuple[str, ...]
) -> None:
    """For every scope. The job is an app's own, for the others another app's."""
    assert gateway.settings.config_file is not None
    gateway.configuration.apply(gateway.settings.config_file, actor="test")
    wrong = []
    for number, scope in enumerate(SCOPES):
        name = f"{roles[0]}{number}"
        token = make_token(name, *roles, scopes=(scope,))
        principal = Principal(name, frozenset(map(Role, roles)), (Scope.parse(scope),))
        job = gateway.sync(PROVIDER, RESOURCE, app=name if "app" in roles else "portal").id
        for each in operations(service.app):
            if each.action is None:
                continue
            want = expected(principal, each.action, each.where)
            status, code = ask(service, each, token, job)
            got = {403: "refused", 401: "unknown"}.get(status, "allowed")
            got = "hidden" if code == "unknown_job" else got
            is_answered = status < 500 or code == "job_expired"  # nobody makes calls here
            if got != want or not is_answered:
                wrong.append(f"{scope} {each.name}: {got} ({status} {code}), should be {want}")
    assert wrong == []


def test_without_a_valid_token_nothing_but_health_is_answered(service: WebService) -> None:
    """Not even whether a path exists."""
    for token in (None, "sisgate_0_0", "nonsense"):
        for each in operations(service.app):
            status, code = ask(service, each, token, "none")
            if each.action is None:
                assert status == 200, each
            else:
                assert (status, code) == (401, "not_authenticated"), each
    for path in ("/v1", "/v1/nothing", "/v1/openapi.json"):
        refused = service.ask("GET", path)
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"] == "Bearer"


def test_every_route_is_in_the_document(open_service: WebService) -> None:
    """So the tests above see all of them. The document itself needs a token, too."""
    modules = [
        import_module(each.name) for each in iter_modules(routers.__path__, "sisgate.web.routers.")
    ]
    written = {route.path for module in modules for route in module.router.routes}
    assert written == {each.path for each in operations(open_service.app)}
