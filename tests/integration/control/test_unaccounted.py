"""What somebody has written into the tables, past the gateway, is found by verification."""

import uuid
from contextlib import suppress

import pytest
from sqlalchemy import text, update

from sisgate import Gateway
from sisgate.audit.findings import IssueKind
from sisgate.domain.rates import Rate
from sisgate.domain.secret import Secret
from sisgate.errors import UsageError
from sisgate.ledger import audit_guard, schema
from sisgate.ledger.controls import stored


def work(gateway: Gateway) -> None:
    """Do everything once that leaves a row and an event."""
    gateway.sync("lincoln", "orgs")
    gateway.enqueue_request("open", "GET", "/x")
    with suppress(UsageError):
        gateway.sync("lincoln", "cafeteria")
    gateway.jobs.refuse(str(uuid.uuid4()), "lincoln", "cafeteria", "celery", UsageError("No."))
    gateway.keys.of("lincoln").add("id", Secret("word"), actor="ana")
    token = gateway.tokens.add("reader", ["viewer"], actor="ana")
    gateway.tokens.rotate(token.id, actor="ana")
    control = gateway.providers.control("lincoln")
    control.set_limits("9/h", actor="ana")
    control.pause(actor="ana")
    gateway.providers.breakers("twin").set("open", actor="ana")


def findings(gateway: Gateway) -> list[tuple[str, str]]:
    """Return the first word of each place, and what is wrong there."""
    return [(f.place.split()[0], f.what) for f in gateway.audit.verify().findings]


def test_what_the_gateway_does_is_accounted_for(gateway: Gateway) -> None:
    """Also after everything was taken back."""
    work(gateway)
    assert findings(gateway) == []
    gateway.providers.control("lincoln").resume(actor="ana")
    gateway.providers.control("lincoln").set_limits(None, actor="ana")
    assert findings(gateway) == []


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (update(schema.Job).values(id=str(uuid.uuid4())), "job"),
        (update(schema.Key).values(id=str(uuid.uuid4())), "key"),
        (update(schema.AccessToken).values(id="forged"), "token"),
        (
            update(schema.Control)
            .where(schema.Control.provider == "lincoln")
            .values(windows=stored([Rate(9000, 3600.0)])),
            "control",
        ),
        (
            update(schema.Control).where(schema.Control.provider == "twin").values(paused=True),
            "control",
        ),
    ],
    ids=["job", "key", "token", "limit", "pause"],
)
def test_a_row_that_nobody_made_is_found(gateway: Gateway, change: object, place: str) -> None:
    """One row, changed into another one past the gateway."""
    gateway.providers.control("lincoln").set_limits("9/h", actor="ana")
    gateway.providers.control("twin").pause(actor="ana")
    gateway.providers.control("twin").resume(actor="ana")
    gateway.keys.of("lincoln").add("id", Secret("word"), actor="ana")
    gateway.tokens.add("reader", ["viewer"], actor="ana")
    gateway.sync("lincoln", "orgs")
    assert findings(gateway) == []
    with gateway.context.database.write() as session:
        session.execute(change)  # type: ignore[call-overload]  # an update of any table
    assert [where for where, _ in findings(gateway)] == [place]


def test_a_log_that_was_emptied_is_found_without_heads(gateway: Gateway) -> None:
    """The rows of what was done are still there."""
    work(gateway)
    with gateway.context.database.write() as session:
        dialect = session.get_bind().dialect.name
        audit_guard.take_off(lambda statement: session.execute(text(statement)), dialect)
        for table in ("audit_events", "audit_seals", "audit_writers"):
            session.execute(text(f"DELETE FROM {table}"))
        audit_guard.put_on(lambda statement: session.execute(text(statement)), dialect)
    verdict = gateway.audit.verify()
    assert set(verdict.counts) == {IssueKind.NO_EVENT}
    assert {place for place, _ in findings(gateway)} == {"job", "key", "token", "control"}
