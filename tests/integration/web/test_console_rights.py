"""Every page and action of the console, for every role and scope: what the policy says."""

import pytest

from sisgate import Gateway
from sisgate.access.policy import Action, Principal, Role, Scope
from sisgate.console.rooms import ConsoleRoute
from testbed.console_visitor import ConsoleVisitor
from testbed.web_service import WebService
from tests.integration.web.conftest import MakeToken
from tests.integration.web.test_rights import PROVIDER, RESOURCE, ROLES, SCOPES, expected


def outcome(visitor: ConsoleVisitor, route: ConsoleRoute, job: str) -> str:
    """Ask for one route; return what became of it."""
    places = {"provider": PROVIDER, "resource": RESOURCE, "job_id": job}
    path = route.path
    for name in [part.strip("{}").split(":")[0] for part in path.split("/") if part[:1] == "{"]:
        path = path.replace(f"{{{name}}}", places.get(name, "1"))
    answer = visitor.get(path) if route.method == "GET" else visitor.send(path)
    assert answer.status_code < 500, (route, answer.text)
    assert not answer.headers.get("Location", "").startswith("/login"), route
    if "unknown_job" in answer.text and "{job_id}" in route.path:
        return "hidden"
    return "refused" if answer.status_code == 403 else "allowed"


@pytest.mark.parametrize("roles", [*ROLES, ("viewer", "sight")], ids="+".join)
def test_every_route_of_the_console_decides_as_the_policy(
    service: WebService, gateway: Gateway, make_token: MakeToken, roles: tuple[str, ...]
) -> None:
    """For every scope, and on the server: what a page leaves out can be asked for all the same."""
    assert gateway.settings.config_file is not None
    gateway.configuration.apply(gateway.settings.config_file, actor="test")
    wrong = []
    for number, scope in enumerate(SCOPES):
        name = f"{roles[0]}{number}"
        principal = Principal(name, frozenset(map(Role, roles)), (Scope.parse(scope),))
        job = gateway.sync(PROVIDER, RESOURCE, app=name).id
        with ConsoleVisitor(service, make_token(name, *roles, scopes=(scope,))) as visitor:
            for route in service.app.state.console.routes:
                want = expected(principal, Action(route.action), route.where)
                got = outcome(visitor, route, job)
                if got != want:
                    wrong.append(f"{scope} {route.method} {route.path}: {got}, should be {want}")
    assert wrong == []
