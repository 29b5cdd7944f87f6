"""A person is gone from every table, nobody else is, and later syncs leave them out."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from sisgate.audit import log as audit
from sisgate.credentials.master import MasterKey
from sisgate.credentials.sealed import open_request, seal_request
from sisgate.credentials.vault import Vault
from sisgate.domain.records import Row
from sisgate.domain.states import JobKind, JobState
from sisgate.errors import InvalidState, UnknownPerson, UsageError
from sisgate.ledger import acceptance, access, audit_log, datasets, jobs, persons, records
from sisgate.ledger.database import Database
from sisgate.ledger.schema import AuditSeal, Base, Call, Job, Record, Response
from sisgate.privacy import suppression
from sisgate.privacy.erasure import Erasure
from sisgate.privacy.persons import Realms
from sisgate.providers.dialect import Page
from sisgate.settings import Endpoint, ProviderConfig
from testbed.clock import ManualClock
from tests.contract.ledger.rows import NOW, new_job, queued, write

ADA = "stu-4711"
GIVEN, FAMILY, MAIL = "Adelheid", "Zwingli", "adelheid.z@school.example"
VAULT = Vault([MasterKey(b"m" * 32)])


def config(kind: str = "oneroster") -> ProviderConfig:
    """The provider whose records these are."""
    return ProviderConfig(
        name="lincoln",
        kind=kind,
        endpoints=(Endpoint(url="https://lincoln.test"),),
        token_url="https://lincoln.test/token",
    )


def erasure(database: Database, kind: str = "oneroster") -> Erasure:
    """What erases there."""
    return Erasure(database, config(kind), VAULT, ManualClock(NOW))


def record(sourced_id: str, **data: Any) -> Row:
    """A record whose original holds the same."""
    whole = {"sourcedId": sourced_id, "status": "active", **data}
    return Row(sourced_id, whole, {**whole, "raw": True})


def ref(sourced_id: str, kind: str = "user") -> dict[str, str]:
    """A reference to another record."""
    return {"sourcedId": sourced_id, "type": kind}


def ada(**more: Any) -> Row:
    """The student who is to be erased."""
    return record(ADA, givenName=GIVEN, familyName=FAMILY, email=MAIL, identifier="900417", **more)


def other(sourced_id: str = "stu-1", **more: Any) -> Row:
    """A student who stays."""
    return record(sourced_id, givenName="Bo", familyName="Berg", **more)


@pytest.fixture
def school(database: Database) -> Database:
    """A roster in which Ada is a student, enrolled, somebody's sister, and asked about."""
    write(database, [other(), ada(), other("stu-2", agents=[ref(ADA), ref("par-9", "parent")])])
    write(database, [ada(grades=["09"])])
    enrollments = [
        record("enr-1", user=ref(ADA), role="student"),
        record("enr-2", user=ref("stu-1"), role="student"),
    ]
    write(database, enrollments, resource="enrollments")
    write(database, [record(ADA, sex="female"), record("stu-1")], resource="demographics")
    ask(database, f"/users/{ADA}")
    ask(database, "/classes/1", {"givenName": GIVEN, "familyName": FAMILY})
    ask(database, "/users/stu-1")
    job_id, ids = queued(database, 2)
    with database.write() as session:
        for call_id in ids:
            call = session.get_one(Call, call_id)
            call.edges = {"first": ["stu-1", ADA], "last": ["stu-2"]}
            call.error = {"code": "provider_refused", "message": f"No such user {ADA}"}
        job = jobs.get(session, job_id)
        jobs.end(session, job, JobState.FAILED, NOW, error={"code": "x", "message": MAIL})
        job.idempotency_key = f"once-{ADA}"
    return database


def ask(database: Database, path: str, body: Any = None) -> str:
    """A request that has ended, with an answer that repeats what was asked for."""
    target = {"method": "GET", "path": path, "query": {}, "json": body}
    new = seal_request(VAULT, new_job(kind=JobKind.REQUEST, resource=None), target)
    answer = VAULT.seal(json.dumps(target).encode(), f"responses/{new.id}")
    with database.write() as session:
        acceptance.accept(session, new, NOW)
        jobs.end(session, jobs.get(session, new.id), JobState.DONE, NOW)
        session.add(
            Response(
                job_id=new.id, status=200, headers={}, sealed_body=answer,
                delete_after=NOW + timedelta(days=1),
            )
        )  # fmt: skip
    return new.id


def everything(database: Database) -> Iterator[str]:
    """All cells of all tables; what is sealed, opened."""
    with database.read() as session:
        for table in Base.metadata.sorted_tables:
            for row in session.execute(select(text("*")).select_from(table)):
                yield f"{table.name}: {tuple(row)}"
        for job in session.scalars(select(Job).where(Job.kind == "request")):
            try:
                yield f"request: {open_request(VAULT, job)}"
            except InvalidState:
                continue
        for answer in session.scalars(select(Response)):
            yield VAULT.open(answer.sealed_body, f"responses/{answer.job_id}").decode()


def ids_of(database: Database, resource: str = "students") -> list[str]:
    """The ids of a dataset's records."""
    return [r.sourced_id for r in records.stream_records(database, "lincoln", resource)]


def test_nothing_names_the_person_any_more_and_everybody_else_is_there(school: Database) -> None:
    """In no table, opened or not."""
    needles = (ADA, GIVEN, FAMILY, MAIL, "900417")
    assert any(ADA in cell for cell in everything(school))
    told = erasure(school).preview(ADA)
    report = erasure(school).run(ADA, actor="ana", reason="case 12")
    assert [cell for cell in everything(school) if any(n in cell for n in needles)] == []
    assert (list(report.left), report.is_clean, report.suppressed) == ([], True, True)
    assert report.done == told.done
    assert report.done == {
        "records": 3, "mentions": 1, "changes": 4, "requests": 2, "responses": 2, "jobs": 1,
        "calls": 2,
    }  # fmt: skip
    assert ids_of(school) == ["stu-1", "stu-2"]
    assert ids_of(school, "enrollments") == ["enr-2"]
    assert ids_of(school, "demographics") == ["stu-1"]
    with school.read() as session:
        brother = session.get_one(Record, ("lincoln", "students", "stu-2"))
        assert brother.data["agents"] == brother.original["agents"] == [ref("par-9", "parent")]
        assert len(session.scalars(select(Response)).all()) == 1


def test_the_feed_stays_whole_and_tells_who_follows_it(school: Database) -> None:
    """Every number is there; the erased ones are deletions of nobody in particular."""
    before = list(records.stream_changes(school, "lincoln", "students"))
    erasure(school).run(ADA, actor="ana", reason="case 12")
    after = list(records.stream_changes(school, "lincoln", "students"))
    assert [c.sequence for c in after] == list(range(1, len(before) + 3))
    gone = [c for c in after if c.sourced_id.startswith("erased-")]
    assert len({c.sourced_id for c in gone}) == 1
    assert {(c.operation, c.data) for c in gone} == {("delete", None)}
    assert (after[-2].operation, after[-2].sourced_id) == ("update", "stu-2")
    assert after[-1] in gone, "a tag or cursor of before is not the newest any more"


def test_the_audit_log_knows_of_it_by_a_pseudonym(school: Database) -> None:
    """With who did it and why; a reason that names the person is refused."""
    for reason in ("", " ", f"asked by {MAIL}", f"{GIVEN} {FAMILY} has left", ADA):
        with pytest.raises(UsageError, match="reason"):
            erasure(school).run(ADA, actor="ana", reason=reason)
    report = erasure(school).run(ADA, actor="ana", reason="case 12")
    with school.read() as session:
        (event, *_) = audit_log.tail(session)
    assert (event.actor, event.action, event.reason) == ("ana", "privacy:person:erase", "case 12")
    assert event.subject == report.pseudonym
    assert ADA not in report.pseudonym


class LastMoment(ManualClock):
    """A clock whose process ends when it asks for the time once more."""

    def now(self) -> datetime:
        """Return the time, once."""
        if self.monotonic() > 0:
            raise SystemExit(137)
        self.advance(1)
        return NOW


def test_an_erasure_that_dies_half_way_is_in_the_audit_log(school: Database) -> None:
    """What it has deleted by then is gone, and the person is on the list."""
    dying = Erasure(school, config(), VAULT, LastMoment(NOW))
    with pytest.raises(SystemExit):
        dying.run(ADA, actor="ana", reason="case 12")
    with school.read() as session:
        (event,) = audit_log.tail(session, audit_log.AuditFilter(action="privacy:person:erase"))
    assert (event.actor, event.reason, event.detail) == (
        "ana", "case 12", {"phase": "begin", "suppressed": True},
    )  # fmt: skip


def page(*rows: Row) -> Page:
    """A page of these rows."""
    return Page(rows, len(rows), [row.sourced_id for row in rows])


def screened(database: Database, resource: str, given: Page, kind: str = "oneroster") -> Page:
    """What a sync writes of a page."""
    with database.write() as session:
        return suppression.screened(
            given,
            provider="lincoln",
            resource=resource,
            realms=Realms.of(config(kind)),
            digests=access.suppressed(session, "lincoln"),
            key=suppression.person_key(session, VAULT),
        )


def test_a_later_sync_leaves_the_person_out_and_their_enrollments(school: Database) -> None:
    """Pages meet as before: the same row has the same pseudonym each time."""
    erasure(school).run(ADA, actor="ana", reason="case 12")
    students = screened(school, "students", page(other(), ada(), other("x", agents=[ref(ADA)])))
    assert [row.sourced_id for row in students.rows] == ["stu-1", "x"]
    assert students.rows[1].data["agents"] == []
    assert students.received == 3
    again = screened(school, "students", page(ada()))
    assert students.ids[1] == again.ids[0] != ADA
    enrolled = page(record("enr-1", user=ref(ADA)), record("enr-2", user=ref("stu-1")))
    assert [row.sourced_id for row in screened(school, "enrollments", enrolled).rows] == ["enr-2"]


def test_the_list_holds_no_name_and_can_be_ended(school: Database) -> None:
    """An erased student may enrol again."""
    erasure(school).run(ADA, actor="ana", reason="case 12")
    assert erasure(school).lift(ADA, None, actor="ana", reason="enrolled again")
    assert not erasure(school).lift(ADA, None, actor="ana", reason="twice")
    with pytest.raises(UsageError, match="does not name the person"):
        erasure(school).lift(ADA, None, actor="ana", reason=f"{ADA} enrolled again")
    assert len(screened(school, "students", page(ada())).rows) == 1
    with school.read() as session:
        assert audit_log.tail(session)[0].action == "privacy:person:lift"


def test_without_the_list_the_next_sync_brings_the_person_back(school: Database) -> None:
    """Which the report tells."""
    report = erasure(school).run(ADA, actor="ana", reason="case 12", suppress=False)
    assert not report.suppressed
    assert len(screened(school, "students", page(ada())).rows) == 1


def test_a_second_run_finds_nothing_and_a_stranger_is_not_erased(school: Database) -> None:
    """A mistyped id must not pass for an erasure."""
    erasure(school).run(ADA, actor="ana", reason="case 12")
    again = erasure(school).run(ADA, actor="ana", reason="case 12")
    assert (dict(again.done), again.is_clean) == ({}, True)
    with pytest.raises(UnknownPerson) as unknown:
        erasure(school).run("stu-0815", actor="ana", reason="case 13")
    assert "0815" not in str(unknown.value)


def test_what_a_live_job_still_needs_is_told_and_goes_with_the_next_run(school: Database) -> None:
    """The report is not clean until it has ended."""
    job_id, (call_id,) = queued(school, 1)
    with school.write() as session:
        session.get_one(Call, call_id).edges = {"first": [ADA], "last": []}
    report = erasure(school).run(ADA, actor="ana", reason="case 12")
    assert not report.is_clean
    assert "not ended" in report.left[0].note
    with school.write() as session:
        jobs.cancel(session, job_id, NOW)
    again = erasure(school).run(ADA, actor="ana", reason="case 12")
    assert (again.done, again.is_clean) == ({"calls": 1}, True)


def test_somebody_of_the_same_name_is_told_and_left_alone(school: Database) -> None:
    """A name is no identifier."""
    namesake = record("stu-7777", givenName=GIVEN, familyName=FAMILY)
    write(school, [namesake])
    report = erasure(school).run(ADA, actor="ana", reason="case 12")
    assert report.is_clean
    assert [(f.table, f.kind, f.rows) for f in report.left] == [("records", "name", 1)] * 2
    assert "stu-7777" in ids_of(school)


def test_the_same_id_at_another_provider_is_told_and_left_alone(school: Database) -> None:
    """Ids are each provider's own; the report says where to look."""
    with school.write() as session:
        dataset = datasets.lock(session, "jefferson", "students")
        row = record(ADA, givenName="Bo")
        records.write_page(session, dataset, [row], generation=1, job_id="job", now=NOW)
    report = erasure(school).run(ADA, actor="ana", reason="case 12")
    assert report.is_clean
    assert {(f.table, f.kind) for f in report.left} == {
        ("changes", "elsewhere"),
        ("records", "elsewhere"),
    }
    assert all("of jefferson: erase there too" in found.note for found in report.left)


def names_one(database: Database, target: dict[str, Any], body: Any) -> set[str]:
    """What the erasure of the person `1` deletes of a request and its answer."""
    write(database, [record("1", givenName=GIVEN, familyName=FAMILY), record("2")])
    target = {
        "method": "GET",
        "path": "/ws/v1/school/5/student",
        "query": {},
        "json": None,
    } | target
    new = seal_request(VAULT, new_job(kind=JobKind.REQUEST, resource=None), target)
    with database.write() as session:
        acceptance.accept(session, new, NOW)
        jobs.end(session, jobs.get(session, new.id), JobState.DONE, NOW)
        sealed = VAULT.seal(json.dumps(body).encode(), f"responses/{new.id}")
        session.add(
            Response(
                job_id=new.id, status=200, headers={"x-page": "1"}, sealed_body=sealed,
                delete_after=NOW + timedelta(days=1),
            )
        )  # fmt: skip
    report = erasure(database).run("1", actor="ana", reason="case 12")
    assert report.is_clean
    return set(report.done) & {"requests", "responses"}


@pytest.mark.parametrize(
    ("target", "body", "gone"),
    [
        ({"query": {"pagesize": "1"}}, {"count": 1, "students": [{"id": 2, "grade": "1"}]}, set()),
        ({"path": "/ws/v1/student/1"}, [], {"requests"}),
        ({"query": {"filter": "sourcedId='1'"}}, [], {"requests"}),
        ({"json": {"student_id": 1}}, [], {"requests"}),
        ({}, {"students": [{"id": 1}]}, {"responses"}),
        ({}, {"students": [{"sourcedId": "1"}]}, {"responses"}),
    ],
)
def test_a_short_id_counts_only_as_a_whole_value(
    database: Database, target: dict[str, Any], body: Any, gone: set[str]
) -> None:
    """A page size, a count or a grade of the same number is about nobody."""
    assert names_one(database, target, body) == gone


def test_a_number_in_the_audit_log_is_nobodys_id(database: Database) -> None:
    """Counts, ids of calls and ranges of events are sisgate's own; what a person wrote is not."""
    write(database, [record("1042", givenName=GIVEN, familyName=FAMILY)])
    with database.write() as session:
        for subject, reason in (("call/1042", None), ("lincoln/students", "for 1042")):
            audit.record(
                session, NOW, actor="ana", action="x:y:z", subject=subject, reason=reason,
                records=1042, of={"rows": [1042]},
            )  # fmt: skip
        session.add(
            AuditSeal(
                number=1, at=NOW, events=1, total=1, covers="[[7,1,1042]]", digest=b"", head=b""
            )
        )
    left = erasure(database).run("1042", actor="ana", reason="case 12").left
    assert [(m.table, m.column, m.rows) for m in left] == [("audit_events", "reason", 1)]


def test_a_student_is_not_the_teacher_of_the_same_number(database: Database) -> None:
    """PowerSchool numbers them apart; the id alone does not say who is meant."""
    write(database, [record("77", givenName="Ann", familyName="Lee")])
    teacher = record("77", givenName="Max", familyName="Roth")
    write(database, [teacher], resource="teachers")
    write(database, [record("77", sex="male")], resource="demographics")
    write(database, [record("5", metadata={"primaryTeacher": "77"})], resource="classes")
    with pytest.raises(UsageError, match="--resource"):
        erasure(database, "powerschool").preview("77")
    erasure(database, "powerschool").run("77", "teachers", actor="ana", reason="case 1")
    assert ids_of(database) == ids_of(database, "demographics") == ["77"]
    assert ids_of(database, "teachers") == []
    with database.read() as session:
        assert session.get_one(Record, ("lincoln", "classes", "5")).data["metadata"] == {}
    assert len(screened(database, "students", page(record("77")), "powerschool").rows) == 1
    assert len(screened(database, "teachers", page(teacher), "powerschool").rows) == 0


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_the_bytes_are_gone_from_the_file_too(database: Database) -> None:
    """SQLite keeps what is deleted in free pages and in its log until it is made to let go."""
    write(database, [other(f"s{n}") for n in range(300)])
    write(database, [ada()])
    report = erasure(database).run(ADA, actor="ana", reason="case 12")
    assert report.compacted is True
    path = database.engine.url.database
    assert path is not None
    found = b""
    for suffix in ("", "-wal", "-shm"):
        try:
            with open(path + suffix, "rb") as file:  # noqa: PTH123 - a suffix, not a path
                found += file.read()
        except FileNotFoundError:
            continue
    database.dispose()
    assert found
    assert [n for n in (ADA, GIVEN, FAMILY, MAIL) if n.encode() in found] == []


CHECKPOINTER = """
import fcntl, sys
shared = open(sys.argv[1], "r+b")
fcntl.lockf(shared, fcntl.LOCK_EX, 1, 121)  # WAL_CKPT_LOCK, see "walformat" in SQLite's docs
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_freed_space_is_overwritten_after_the_checkpoint_of_another_process(
    database: Database,
) -> None:
    """SQLite itself does not wait for it."""
    write(database, [ada()])
    shared = f"{database.engine.url.database}-shm"
    other = subprocess.Popen(
        [sys.executable, "-c", CHECKPOINTER, shared], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )

    class UntilItEnds(ManualClock):
        def sleep(self, seconds: float) -> None:
            other.communicate()
            super().sleep(seconds)

    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        clock = UntilItEnds()
        assert persons.compact(database, clock) is True
    assert clock.monotonic() > 0
