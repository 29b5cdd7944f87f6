"""A Redis whose ACL keeps administration from us: everything works, and nothing is a failure."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from sisgate import Gateway
from sisgate.redis.client import connect


@pytest.fixture
def restricted(gateway: Gateway, redis_url: str) -> Iterator[Gateway]:
    """The gateway as a user without INFO, CONFIG, CLIENT LIST and their like."""
    admin = connect(redis_url)
    admin.execute_command(
        "ACL", "SETUSER", "app", "on", ">word", "~*", "&*", "+@all", "-@admin", "-@dangerous"
    )
    address = urlsplit(redis_url)
    url = f"redis://app:word@{address.hostname}:{address.port}{address.path}"
    settings = gateway.settings.model_copy(update={"broker_url": SecretStr(url)})
    made = Gateway(settings)
    yield made
    made.close()
    admin.execute_command("ACL", "DELUSER", "app")
    admin.close()


def test_doctor_does_without_what_an_acl_keeps_from_it(restricted: Gateway) -> None:
    """It says what it cannot tell, and goes on with the rest."""
    findings = list(restricted.diagnosis.run())
    (redis,) = (found for found in findings if found.subject == "redis")
    assert (redis.grade, redis.what) == ("ok", "responds, but hides its version from this user")
    assert "clock of Redis" in {found.subject for found in findings}


def test_work_is_accepted_admitted_and_controlled(restricted: Gateway) -> None:
    """What the gateway asks of Redis needs no administration."""
    job = restricted.sync("lincoln", "orgs")
    assert restricted.providers.hold("lincoln") is None
    control = restricted.providers.control("lincoln")
    control.set_limits("50/h", actor="ana")
    control.pause(actor="ana")
    control.resume(actor="ana")
    assert control.holds_now
    assert not control.state().blocked_seconds
    assert restricted.quarantine.list() == []
    assert not restricted.jobs.cancel(job.id).error
