"""Messages in quarantine: shown without their content, put back, dropped, all of it audited."""

import json

import pytest

from sisgate import Gateway
from sisgate.cli.invocation import Invocation
from sisgate.cli.main import execute
from sisgate.errors import AccessDenied, InvalidState, UnknownMessage
from sisgate.ledger.schema import AuditEvent
from sisgate.quarantine import KEPT_BYTES, LENGTH
from sisgate.redis.keys import QUARANTINE
from sisgate.redis.queues import queue_keys
from workers.admission.messages import NotOurs, put_aside
from workers.runtime import Runtime

SECRET = "Eve Kowalski"
UNKNOWN = json.dumps(
    {"body": SECRET, "headers": {"task": "sisgate.later", "id": "1"}, "properties": {"priority": 6}}
).encode()


def actions(gateway: Gateway) -> list[tuple[str, str, str | None]]:
    """Return who did what and why."""
    with gateway.context.database.read() as session:
        rows = session.query(AuditEvent).order_by(AuditEvent.at, AuditEvent.number)
        return [(row.actor, row.action.rpartition(":")[2], row.reason) for row in rows]


def test_a_message_is_told_of_without_its_content(gateway: Gateway, runtime: Runtime) -> None:
    """Queue, task, size and reason; the content is for admins and audited."""
    put_aside(runtime.redis, UNKNOWN, NotOurs("unknown task"), "lincoln")
    put_aside(runtime.redis, SECRET, ValueError(SECRET), "?")
    broken, unknown = gateway.quarantine.list()
    assert (broken.reason, broken.task, broken.queue) == ("ValueError", None, "?")
    assert (unknown.reason, unknown.task, unknown.queue) == (
        "unknown task", "sisgate.later", "lincoln",
    )  # fmt: skip
    shown = [gateway.quarantine.show(each.id) for each in (broken, unknown)]
    assert SECRET not in json.dumps(shown, default=str)
    assert actions(gateway) == []
    assert gateway.quarantine.content(unknown.id, actor="ana", reason="who?") == UNKNOWN
    assert actions(gateway) == [("ana", "read", "who?")]


def test_a_message_goes_back_to_its_place(gateway: Gateway, runtime: Runtime) -> None:
    """Whole, into the list of its priority, once."""
    put_aside(runtime.redis, UNKNOWN, NotOurs("unknown task"), "lincoln")
    (message,) = gateway.quarantine.list()
    assert gateway.quarantine.requeue(message.id, actor="ana", reason="upgraded") == "lincoln"
    assert runtime.redis.lrange(queue_keys("lincoln")[2], 0, -1) == [UNKNOWN]
    assert gateway.quarantine.list() == []
    with pytest.raises(UnknownMessage):
        gateway.quarantine.requeue(message.id, actor="ana")
    assert actions(gateway) == [("ana", "requeue", "upgraded")]


def test_what_no_worker_can_ever_take_stays(gateway: Gateway, runtime: Runtime) -> None:
    """And nothing is said to have been done."""
    put_aside(runtime.redis, UNKNOWN + b" " * KEPT_BYTES, NotOurs("large"), "lincoln")
    put_aside(runtime.redis, b"[]", NotOurs("not an object"), "lincoln")
    for message in gateway.quarantine.list():
        with pytest.raises(InvalidState):
            gateway.quarantine.requeue(message.id, actor="ana")
        gateway.quarantine.drop(message.id, actor="ana")
    assert gateway.quarantine.list() == []
    assert actions(gateway) == [("ana", "drop", None)] * 2


def test_no_more_than_the_newest_are_kept(gateway: Gateway, runtime: Runtime) -> None:
    """A broken publisher does not fill Redis."""
    for number in range(LENGTH + 5):
        put_aside(runtime.redis, str(number), NotOurs("not an object"), "lincoln")
    kept = gateway.quarantine.list()
    assert len(kept) == LENGTH
    assert kept[0].text == str(LENGTH + 4).encode()


def test_roles_decide_what_may_be_done(gateway: Gateway, runtime: Runtime) -> None:
    """A viewer looks, an operator acts, only an admin reads."""
    put_aside(runtime.redis, UNKNOWN, NotOurs("unknown task"), "lincoln")

    def as_role(role: str) -> Gateway:
        token = gateway.tokens.add(role, [role]).token
        update = {"token": token, "access": "tokens"}
        return Gateway(
            gateway.settings.model_copy(update=update), database=gateway.context.database
        )

    viewer, operator = as_role("viewer"), as_role("operator")
    (message,) = viewer.quarantine.list()
    with pytest.raises(AccessDenied):
        viewer.quarantine.drop(message.id, actor="x")
    with pytest.raises(AccessDenied):
        operator.quarantine.content(message.id, actor="x")
    operator.quarantine.drop(message.id, actor="x")
    viewer.close()
    operator.close()


def test_the_command_line_says_the_same(
    gateway: Gateway,
    runtime: Runtime,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """List, show, requeue and drop."""
    monkeypatch.setattr(Invocation, "gateway", gateway)

    def run(*words: str, code: int = 0) -> str:
        assert execute(["quarantine", *words]) == code, words
        return capsys.readouterr().out

    put_aside(runtime.redis, UNKNOWN, NotOurs("unknown task"), "lincoln")
    capsys.readouterr()
    (message,) = json.loads(run("list", "--json"))
    assert "sisgate.later" in run("list")
    assert SECRET not in run("show", message["id"]) + run("list", "--json")
    assert SECRET in run("show", message["id"], "--content")
    assert "lincoln" in run("requeue", message["id"])
    run("drop", message["id"], code=3)
    run("drop", code=2)
    assert "none" in run("drop", "--all")


ENTRIES = (
    b"garbage",
    b"\xff\xfe\x00",
    b"",
    b"[]",
    b'{"id": "0a1b2c3d"}',
    b'{"id": 5, "at": "now", "queue": [], "reason": {}, "task": 1, "size": "x", "text": "W"}',
    b'{"id":"0a1b2c3d","at":1e300,"queue":"?","reason":"","task":null,"size":1,"text":"W10="}',
    b'{"id":"0a1b2c3d","at":1.0,"queue":"unacked","reason":"","task":null,"size":1,"text":"\xc3"}',
    b'{"id":"0a1b2c3d","at":1.0,"queue":"a:key","reason":"","task":null,"size":1,"text":"W10="}',
)


@pytest.mark.parametrize("entry", ENTRIES, ids=range(len(ENTRIES)))
def test_what_no_worker_put_there_is_listed_and_dropped(
    gateway: Gateway, runtime: Runtime, monkeypatch: pytest.MonkeyPatch, entry: bytes
) -> None:
    """Whoever has the broker's password can add to the list; the other messages stay in reach."""
    put_aside(runtime.redis, UNKNOWN, NotOurs("unknown task"), "lincoln")
    runtime.redis.lpush(QUARANTINE(), entry)
    foreign, ours = gateway.quarantine.list()
    assert (foreign.at, foreign.reason) == (None, "put into quarantine by no worker")
    assert ours.reason == "unknown task"
    monkeypatch.setattr(Invocation, "gateway", gateway)
    assert execute(["quarantine", "list"]) == 0
    assert execute(["quarantine", "show", foreign.id]) == 0
    with pytest.raises(InvalidState, match="Drop it"):
        gateway.quarantine.requeue(foreign.id, actor="ana")
    assert gateway.quarantine.content(foreign.id, actor="ana") == entry
    gateway.quarantine.drop(foreign.id, actor="ana")
    assert [message.id for message in gateway.quarantine.list()] == [ours.id]
