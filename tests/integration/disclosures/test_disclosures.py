"""Who read this student, when, which fields, and why: told for bulk reads and live calls."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import islice

import pytest
from sqlalchemy import delete

from sisgate import Gateway
from sisgate.access.policy import Principal, Role
from sisgate.credentials.vault import vault_of
from sisgate.errors import AccessDenied, UsageError
from sisgate.gateway.core import Core
from sisgate.gateway.disclosure import Disclosures
from sisgate.ledger import datasets, deletions
from sisgate.ledger.audit_log import AuditFilter
from sisgate.ledger.schema import PrivacyKey, Response
from sisgate.privacy.disclosures import PersonDisclosure
from testbed.threads import threads_in_turns
from tests.contract.ledger.rows import NOW, accepted, row, write

ADA, BO, CY = "stu-1", "stu-2", "stu-3"
ANSWER = {"users": [{"sourcedId": ADA, "givenName": "Adelheid", "username": "ada.z"}]}


def read(gateway: Gateway, purpose: str, *, first: int | None = None) -> None:
    """Read the students, all or the first few, and leave."""
    stream = gateway.records("lincoln", "students", purpose=purpose)
    list(stream if first is None else islice(stream, first))
    stream.close()  # type: ignore[attr-defined]  # a generator, whose end is an event


def readers(gateway: Gateway, person: str) -> list[PersonDisclosure]:
    """Return who was given a person's data."""
    return list(gateway.audit.disclosures("lincoln", person, actor="auditor"))


def purposes(gateway: Gateway, person: str) -> list[str | None]:
    """Return what each was given it for."""
    return [each.purpose for each in readers(gateway, person)]


def answered(gateway: Gateway, content: bytes) -> str:
    """Store an answer to a request; return its job."""
    with gateway.context.database.write() as session:
        job = accepted(session).id
        sealed = vault_of(gateway.settings).seal(content, f"responses/{job}")
        kept_until = NOW + timedelta(days=36500)
        answer = Response(job_id=job, status=200, headers={}, sealed_body=sealed,
                          truncated=False, delete_after=kept_until)  # fmt: skip
        session.merge(answer)
    return job


def test_a_bulk_read_is_told_for_those_who_were_in_it(gateway: Gateway) -> None:
    """By the version of the dataset: not before a student came, nor after they had gone."""
    write(gateway.context.database, [row(BO)])
    read(gateway, "before Ada")
    write(gateway.context.database, [row(ADA)])
    read(gateway, "with Ada")
    write(gateway.context.database, [row(BO)], generation=2)
    with gateway.context.database.write() as session:
        dataset = datasets.lock(session, "lincoln", "students")
        deletions.carry_out(session, dataset, "job", 2, NOW)
    read(gateway, "after Ada")
    (given,) = readers(gateway, ADA)
    assert (given.purpose, given.what, given.place) == ("with Ada", "records", "lincoln/students")
    assert (given.fields, given.is_certain, given.actor) == (None, True, "app:default")
    assert purposes(gateway, BO) == ["before Ada", "with Ada", "after Ada"]
    assert purposes(gateway, "nobody") == []


def test_a_reader_who_stops_early_was_given_what_came_until_then(gateway: Gateway) -> None:
    """The log has marks of these, and tells of no other."""
    write(gateway.context.database, [row(ADA), row(BO), row(CY)])
    read(gateway, "two of three", first=2)
    found = {person: readers(gateway, person) for person in (ADA, BO, CY)}
    assert {person: len(each) for person, each in found.items()} == {ADA: 1, BO: 1, CY: 0}
    assert all(each.is_certain for each in found[ADA] + found[BO])


def test_changes_are_told_from_their_numbers(gateway: Gateway) -> None:
    """A reader of changes was given those above its cursor."""
    write(gateway.context.database, [row(ADA)])
    write(gateway.context.database, [row(BO)])
    list(gateway.changes("lincoln", "students", since=1, purpose="follow"))
    assert purposes(gateway, ADA) == []
    assert [(each.what, each.purpose) for each in readers(gateway, BO)] == [("changes", "follow")]


def test_an_enrollment_is_its_student_s(gateway: Gateway) -> None:
    """Reading enrollments gives something of whoever is enrolled."""
    mine = row("enr-1", user={"sourcedId": ADA, "type": "user"}, role="student")
    write(gateway.context.database, [mine], resource="enrollments")
    list(gateway.records("lincoln", "enrollments", purpose="seating plan"))
    assert [each.place for each in readers(gateway, ADA)] == ["lincoln/enrollments"]


def test_a_live_answer_is_told_for_whom_it_names(gateway: Gateway) -> None:
    """By any identifier of theirs, with the fields; the log itself names nobody."""
    person = row(ADA, username="ada.z", identifier="900417")
    write(gateway.context.database, [person])
    job = answered(gateway, json.dumps(ANSWER).encode())
    by_number = answered(gateway, b'{"student": {"local_id": "900417"}}')
    gateway.answer(job, purpose="call home")
    gateway.answer(by_number, purpose="by number")
    told = readers(gateway, ADA)
    assert [(each.what, each.purpose) for each in told] == [
        ("answer", "call home"),
        ("answer", "by number"),
    ]
    assert told[0].fields == ("givenName", "sourcedId", "username")
    assert purposes(gateway, BO) == []
    events = list(gateway.audit.search(AuditFilter()))
    text = " ".join(f"{event.subject} {event.reason} {event.detail_text}" for event in events)
    assert not [word for word in (ADA, "ada.z", "Adelheid", "900417") if word in text]


def test_an_answer_that_cannot_be_searched_is_told_as_perhaps(gateway: Gateway) -> None:
    """Of anybody at that provider."""
    gateway.answer(answered(gateway, b"<html>Adelheid</html>"), purpose="page")
    gateway.answer(answered(gateway, b""), purpose="nothing")
    assert [(each.purpose, each.is_certain) for each in readers(gateway, ADA)] == [("page", False)]


def test_an_erased_person_s_readers_are_still_told(gateway: Gateway) -> None:
    """The feed has a pseudonym in their place, which stands for them alone."""
    write(gateway.context.database, [row(ADA), row(BO)])
    read(gateway, "long ago")
    gateway.privacy.erase("lincoln", ADA, actor="admin", reason="case 7")
    read(gateway, "afterwards")
    assert purposes(gateway, ADA) == ["long ago"]


def test_an_event_is_small_whatever_was_read(gateway: Gateway) -> None:
    """No row for each student."""
    write(gateway.context.database, [row(f"stu-{n:05}") for n in range(3000)])
    before = len(list(gateway.audit.search(AuditFilter())))
    read(gateway, "all")
    read(gateway, "most", first=2500)
    events = list(gateway.audit.search(AuditFilter()))[before:]
    assert len(events) == 4
    assert max(len(event.detail_text or "") for event in events) < 300
    assert [each.is_certain for each in readers(gateway, "stu-00001")] == [True, False]


def test_who_reads_at_the_machine_is_named(gateway: Gateway) -> None:
    """The user of the command line; with a token both are told."""
    write(gateway.context.database, [row(ADA)])
    at_machine = Gateway(gateway.settings, database=gateway.context.database, user="mrs.berg")
    read(at_machine, "by hand")
    made = gateway.tokens.add("gradebook", roles=["app"], scopes=["*"], actor="admin")
    settings = gateway.settings.model_copy(update={"token": made.token})
    read(Gateway(settings, database=gateway.context.database, user="mrs.berg"), "with a token")
    assert [(each.actor.split(" ")[0], each.user) for each in readers(gateway, ADA)] == [
        ("mrs.berg", None),
        ("gradebook", "mrs.berg"),
    ]


def test_only_an_admin_may_ask_and_the_question_is_in_the_log(gateway: Gateway) -> None:
    """Under a pseudonym."""
    operator = Principal("op", frozenset({Role.OPERATOR}))
    denied = Gateway(gateway.settings, database=gateway.context.database, principal=operator)
    with pytest.raises(AccessDenied):
        denied.audit.disclosures("lincoln", ADA, actor="op")
    readers(gateway, ADA)
    (asked,) = gateway.audit.search(AuditFilter(action="audit:person:disclosures"))
    assert asked.actor == "auditor"
    assert asked.subject in gateway.privacy.pseudonyms("lincoln", ADA)


def test_what_a_request_asked_for_is_a_disclosure_when_it_is_shown(gateway: Gateway) -> None:
    """Its path may name a student."""
    job = gateway.enqueue_request("lincoln", "GET", f"/students/{ADA}", query={"fields": "name"})
    target = gateway.jobs.request_target(job.id)
    assert target is not None
    assert target.path == f"/students/{ADA}"
    (shown,) = readers(gateway, ADA)
    assert (shown.what, shown.fields) == ("request", ("path", "query"))
    assert readers(gateway, BO) == []


def test_a_time_without_a_zone_is_refused(gateway: Gateway) -> None:
    """As everywhere."""
    with pytest.raises(UsageError, match="since needs a time zone"):
        gateway.audit.disclosures("lincoln", ADA, actor="a", since=datetime(2026, 9, 1))  # noqa: DTZ001


def test_threads_that_read_at_the_same_time_share_one_key(gateway: Gateway) -> None:
    """Whoever looked before the key was made does not take it from the one who made it."""
    content = [b"a", b"b"]
    with ThreadPoolExecutor(16) as pool, threads_in_turns():
        for _ in range(10):
            with gateway.context.database.write() as session:
                session.execute(delete(PrivacyKey))
            mark = Disclosures(Core(gateway.context)).fingerprints
            told = list(pool.map(mark, ["lincoln"] * 16, [content] * 16))
            assert all(each == told[0] for each in told)
