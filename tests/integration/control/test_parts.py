"""One gateway for many callers, and the names that were its own before it had parts."""

from operator import attrgetter
from typing import Any

import pytest

from sisgate import Gateway
from sisgate.access.policy import Principal
from sisgate.errors import AccessDenied, UnknownJob
from sisgate.gateway.deprecated import MOVED
from sisgate.ledger.audit_log import AuditFilter


def caller(gateway: Gateway, name: str, *roles: str) -> Principal:
    """Return who a new token stands for."""
    made = gateway.tokens.add(name, roles).token
    assert made is not None
    return gateway.tokens.authenticate(made.get_secret_value())


def test_one_gateway_serves_many_callers(gateway: Gateway) -> None:
    """Each with its own rights, jobs and name in the audit log."""
    gradebook = gateway.acting_as(caller(gateway, "gradebook", "app"))
    portal = gateway.acting_as(caller(gateway, "portal", "app"))
    operator = gateway.acting_as(caller(gateway, "oscar", "operator"))
    job = gradebook.sync("lincoln", "students")
    assert job.status().app == "gradebook"
    with pytest.raises(UnknownJob):
        portal.job(job.id)
    with pytest.raises(AccessDenied):
        portal.providers.control("lincoln").pause(actor="portal")
    operator.providers.control("lincoln").pause(actor="nobody")
    (event,) = gateway.audit.search(AuditFilter(action="limits:provider:pause"))
    assert event.actor.startswith("oscar (token ")
    gateway.jobs.cancel(job.id)


def test_callers_share_all_connections(gateway: Gateway) -> None:
    """So that one for each request of a web process costs next to nothing."""
    other = gateway.acting_as(caller(gateway, "gradebook", "app"))
    assert other.context is gateway.context
    assert other.access is not gateway.access
    assert gateway.access.principal().kind == "local"


def test_the_name_of_the_process_is_not_that_of_its_callers(gateway: Gateway) -> None:
    """A portal that has a name of its own enqueues for others."""
    named = Gateway(
        gateway.settings.model_copy(update={"app_name": "portal"}),
        database=gateway.context.database,
    )
    job = named.acting_as(caller(gateway, "gradebook", "app")).sync("lincoln", "students")
    assert job.status().app == "gradebook"


@pytest.mark.parametrize("name", MOVED)
def test_an_older_name_works_and_warns(gateway: Gateway, name: str) -> None:
    """For one version; the warning says the new name, and points at the caller."""
    with pytest.warns(DeprecationWarning, match=f"is now Gateway.{MOVED[name]};") as seen:
        found = getattr(gateway, name)
    now = attrgetter(MOVED[name])(gateway)
    assert found == now or type(found) is type(now)
    assert seen[0].filename == __file__


def test_methods_that_have_become_parts_can_still_be_called(gateway: Gateway) -> None:
    """`jobs` and `keys` were methods and are parts."""
    older: Any = gateway
    job = gateway.sync("lincoln", "students")
    with pytest.warns(DeprecationWarning, match=r"jobs\.list\(\)") as seen:
        assert [status.id for status in older.jobs(provider="lincoln")] == [job.id]
    assert seen[0].filename == __file__
    with pytest.warns(DeprecationWarning, match=r"keys\.of\(\)"):
        assert older.keys("lincoln").list() == []
    with pytest.warns(DeprecationWarning, match=r"keys\.master"):
        assert len(older.master_keys().list()) == 1


def test_a_name_that_never_was_is_not_there(gateway: Gateway) -> None:
    """As of any object."""
    assert not hasattr(gateway, "enqueue_everything")
