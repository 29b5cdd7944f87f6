"""Clients that other people wrote against real servers, from PyPI, run against the sandbox."""

from collections.abc import Iterator

import pytest
from oneroster.classlink import ClasslinkConnector
from pypowerschool.powerschool import Client as PowerSchoolClient

from sisgate.sandbox import SandboxProcess

# pypowerschool sends its form in a way that httpx wants to be rid of.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
STUDENTS = 230
SECTIONS = "/ws/schema/query/org.sisgate.roster.sections"


@pytest.fixture
def powerschool(sandbox: SandboxProcess) -> Iterator[PowerSchoolClient]:
    """Return pypowerschool, signed in. It keeps one instance for good, which is forgotten."""
    district = sandbox.districts["powerschool"]
    yield PowerSchoolClient(district.url, district.client_id, district.client_secret)
    del PowerSchoolClient.instance


def test_pypowerschool_reads_a_district(powerschool: PowerSchoolClient) -> None:
    """Lists by count and pages, below the district and below a school."""
    students = powerschool.students_in_district(with_expansions="school_enrollment")
    assert len({student["id"] for student in students}) == len(students) == STUDENTS
    schools = powerschool.schools_in_district()
    found = [powerschool.students_for_school(school["id"]) for school in schools]
    assert sum(map(len, found)) == STUDENTS
    assert all(powerschool.staff_for_school(school["id"]) for school in schools)
    metadata = powerschool.fetch_metadata()
    assert metadata["schema_table_query_max_page_size"] == metadata["student_max_page_size"]


def test_pypowerschool_reads_single_rows(powerschool: PowerSchoolClient) -> None:
    """Each kind of row by its id: the same row as in its list."""
    school = powerschool.schools_in_district()[0]
    assert powerschool.school_for_id(school["id"])["name"] == school["name"]
    student = powerschool.students_for_school(school["id"])[0]
    assert powerschool.student_for_dcid(student["id"])["local_id"] == student["local_id"]
    section = powerschool.sections_for_school(school["id"])[0]
    assert powerschool.section_for_dcid(section["id"])["school_id"] == school["id"]
    assert powerschool.staff_for_dcid(section["staff_id"])["id"] == section["staff_id"]
    assert powerschool.course_for_dcid(section["course_id"])["id"] == section["course_id"]
    assert powerschool.term_for_dcid(section["term_id"])["id"] == section["term_id"]


def test_pypowerschool_searches(powerschool: PowerSchoolClient, sandbox: SandboxProcess) -> None:
    """The count and the pages of a search agree, also when students have left."""
    sandbox.churn("powerschool", resource="students", delete=7, delete_style="tobedeleted")
    here = powerschool.students_in_district(query="school_enrollment.enroll_status_code==0")
    gone = powerschool.students_in_district(query="school_enrollment.enroll_status_code==2")
    assert (len(here), len(gone)) == (STUDENTS - 7, 7)
    named = powerschool.students_in_district(query="name.last_name==S*")
    everybody = powerschool.students_in_district()
    wanted = {s["id"] for s in everybody if s["name"]["last_name"].startswith("S")}
    assert {student["id"] for student in named} == wanted != set()


def test_pypowerschool_reads_a_powerquery(powerschool: PowerSchoolClient) -> None:
    """It asks for the count by a path of its own and reads pages of the default size."""
    schools = powerschool.schools_in_district()
    listed = [len(powerschool.sections_for_school(school["id"])) for school in schools]
    assert len(powerschool.powerquery(SECTIONS)) == sum(listed)


def test_classlink_connector_reads_users(sandbox: SandboxProcess) -> None:
    """It signs with HMAC-SHA256 and follows the Link header."""
    sandbox.knobs("oneroster", auth="oauth1")
    district = sandbox.districts["oneroster"]
    connector = ClasslinkConnector(
        f"{district.oneroster_base}/", district.client_id, district.client_secret, page_size=60
    )
    students = connector.get_users(user_filter="students")
    assert len({student["sourcedId"] for student in students}) == len(students) == STUDENTS
