"""PowerSchool: what is asked for, and the corners of its data."""

import json
from typing import Any

import pytest

from sisgate.errors import AnswerInvalid
from sisgate.providers.dialect import DialectOptions, Position
from sisgate.providers.http import HttpResponse
from sisgate.providers.powerschool import PowerSchool
from sisgate.providers.powerschool_mapping import record_of

SCHOOL = {"row": "staff", "school": "3"}


def powerschool(**options: Any) -> PowerSchool:
    """A server with some options."""
    return PowerSchool(DialectOptions(**options))


def answer(body: Any) -> HttpResponse:
    """A 200 with a JSON body."""
    return HttpResponse(200, {}, json.dumps(body).encode())


def test_pages_have_the_servers_own_size_unless_configured() -> None:
    """The greatest size is the default, so it is neither asked for nor looked up."""
    (listing,) = powerschool().plan("students", since=None)
    assert "pagesize" not in dict(powerschool().page_request(listing, Position(page=4)).query)
    (listing,) = powerschool(page_size=250).plan("students", since=None)
    query = dict(powerschool().page_request(listing, Position(page=4)).query)
    assert (query["page"], query["pagesize"]) == ("4", "250")


def test_a_power_query_is_posted_and_counts_on_its_first_page_only() -> None:
    """Counting makes the server run the query twice."""
    (listing,) = powerschool().plan("enrollments", since=None)
    first = powerschool().page_request(listing, Position(page=1, size=1000))
    second = powerschool().page_request(listing, Position(page=2, size=1000))
    assert (first.method, first.json_body) == ("POST", {})
    assert first.path == "/ws/schema/query/org.sisgate.roster.enrollments"
    assert dict(first.query) == {"page": "1", "pagesize": "1000", "count": "true"}
    assert dict(second.query) == {"page": "2", "pagesize": "1000"}


@pytest.mark.parametrize(("status", "slow"), [(404, True), (403, True), (400, False), (429, False)])
def test_without_the_plugin_the_slow_way_is_taken(status: int, slow: bool) -> None:
    """A query that is unknown or not granted; any other refusal is one."""
    dialect = powerschool()
    (listing,) = dialect.plan("classes", since=None)
    instead = dialect.fallback("classes", listing, status)
    assert bool(instead) is slow
    for schools in instead or []:
        assert schools.discovers
        assert dialect.fallback("classes", schools, status) is None


def test_schools_lead_to_sections_and_sections_to_enrollments() -> None:
    """Each step knows the ids above it, for the records at the end."""
    dialect = powerschool()
    (query,) = dialect.plan("enrollments", since=None)
    (schools,) = dialect.fallback("enrollments", query, 404) or []
    page = dialect.read_page(
        "enrollments", schools, Position(), answer({"schools": {"school": [{"id": 3}, {"id": 4}]}})
    )
    assert [listing.path for listing in page.listings] == [
        "/ws/v1/school/3/section",
        "/ws/v1/school/4/section",
    ]
    sections = page.listings[0]
    page = dialect.read_page(
        "enrollments", sections, Position(), answer({"sections": {"section": {"id": 77}}})
    )
    (enrollments,) = page.listings
    assert enrollments.path == "/ws/v1/section/77/section_enrollment"
    assert not enrollments.discovers
    row = {"id": 9, "student_id": 851, "entry_date": "2026-08-24"}
    page = dialect.read_page(
        "enrollments",
        enrollments,
        Position(),
        answer({"section_enrollments": {"section_enrollment": row}}),
    )
    data = page.rows[0].data
    assert data["class"]["sourcedId"] == "77"
    assert data["school"]["sourcedId"] == "school-3"


def test_a_count_asks_only_with_what_selects_rows() -> None:
    """Expansions shape rows and are nothing to a count."""
    (listing,) = powerschool().plan("students", since=None)
    request = powerschool().count_request(listing)
    assert request is not None
    assert request.path == "/ws/v1/district/student/count"
    assert [name for name, _ in request.query] == ["q"]
    (query,) = powerschool().plan("classes", since=None)
    assert powerschool().count_request(query) is None


@pytest.mark.parametrize(
    "body", [{"resource": {"count": 7}}, {"resource": {"count": "7"}}, {"count": 7}]
)
def test_a_count_is_read_in_its_forms(body: Any) -> None:
    """In its envelope or bare, as a number or as text."""
    (listing,) = powerschool().plan("students", since=None)
    assert powerschool().read_count(listing, answer(body)) == 7


@pytest.mark.parametrize(
    "body", [[], {}, {"resource": 7}, {"count": -1}, {"count": True}, {"count": 10**30}]
)
def test_a_count_that_is_none_is_an_invalid_answer(body: Any) -> None:
    """A total that is guessed would prove a sync complete that is not."""
    (listing,) = powerschool().plan("students", since=None)
    with pytest.raises(AnswerInvalid):
        powerschool().read_count(listing, answer(body))


def test_a_dropped_enrollment_is_the_providers_word_that_it_is_gone() -> None:
    """As a boolean from REST and as text from a PowerQuery."""
    for dropped in (True, "true", "1"):
        row = {"id": 9, "student_id": 1, "section_id": 2, "dropped": dropped}
        record = record_of("enrollments", row, {"row": "record"})
        assert record is not None
        assert record.is_deleted


def test_staff_who_do_not_teach_are_received_and_left_out() -> None:
    """The lunch staff is in the list of staff and not in the resource of teachers."""
    for kind, kept in ((1, True), (2, False), (3, False), (4, True)):
        row = {
            "id": 70,
            "school_affiliations": {"school_affiliation": {"school_id": 3, "type": kind}},
        }
        assert (record_of("teachers", row, SCHOOL) is not None) is kept
    assert record_of("teachers", {"id": 70, "school_affiliations": ""}, SCHOOL) is not None


def test_one_course_reads_alike_in_every_school() -> None:
    """Each school lists it, and the last one read must not look like a change."""
    row = {"id": 108, "course_number": "MA101", "course_name": "Algebra I"}
    here = record_of("courses", row, {"row": "course", "school": "3"})
    there = record_of("courses", row, {"row": "course", "school": "4"})
    assert here is not None
    assert there is not None
    assert here.content_hash == there.content_hash


@pytest.mark.parametrize(
    ("ethnicity", "expected"),
    [
        ("", {}),
        ({"scheduling_reporting_ethnicity": "W"}, {"white": "true", "asian": "false"}),
        ({"scheduling_reporting_ethnicity": "H"}, {"hispanicOrLatinoEthnicity": "true"}),
        ({"scheduling_reporting_ethnicity": "M"}, {"demographicRaceTwoOrMoreRaces": "true"}),
        ({"scheduling_reporting_ethnicity": "700"}, {}),
        ({"federal_ethnicity": "YES"}, {"hispanicOrLatinoEthnicity": "true"}),
        (
            {"races": {"race": [{"federal_race_code_category": "Asian"}]}},
            {"asian": "true", "demographicRaceTwoOrMoreRaces": "false"},
        ),
        (
            {"races": [{"federal_race_code_category": "B"}, {"federal_race_code_category": "I"}]},
            {
                "blackOrAfricanAmerican": "true",
                "americanIndianOrAlaskaNative": "true",
                "demographicRaceTwoOrMoreRaces": "true",
            },
        ),
    ],
)
def test_race_and_ethnicity_are_told_as_far_as_known(
    ethnicity: Any, expected: dict[str, str]
) -> None:
    """What the district's codes do not say stays out instead of becoming false."""
    record = record_of("demographics", {"id": 851, "ethnicity_race": ethnicity}, {})
    assert record is not None
    data = dict(record.data)
    assert {name: data[name] for name in expected} == expected
    assert expected or not {"white", "asian", "hispanicOrLatinoEthnicity"} & data.keys()


def test_a_class_has_its_periods_apart_and_no_invented_grade() -> None:
    """PowerSchool holds grade level 0 where none was chosen."""
    row = {"id": 1, "school_id": 3, "section_number": "2", "expression": "1(A) 3-4(B)"}
    record = record_of("classes", {**row, "grade_level": "0"}, {})
    assert record is not None
    assert record.data["periods"] == ["1(A)", "3-4(B)"]
    assert record.data["title"] == "Section 2"
    assert "grades" not in record.data
