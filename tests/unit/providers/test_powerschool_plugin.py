"""The PowerSchool plugin: a zip that a server takes, and the same one every time."""

import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from sisgate.providers.powerschool_plugin import (
    ENROLLMENTS,
    ENROLLMENTS_QUERY,
    QUERIES_FILE,
    SECTIONS,
    SECTIONS_QUERY,
    PowerQuery,
    plugin_bytes,
    plugin_xml,
    queries_xml,
    write_plugin,
)

NAMESPACE = "{http://plugin.powerschool.pearson.com}"
READ = {
    "sections": {
        "id",
        "section_number",
        "course_dcid",
        "course_name",
        "school_dcid",
        "teacher_id",
        "term_id",
        "term_dcid",
        "room",
        "expression",
        "grade_level",
    },
    "enrollments": {
        "id",
        "student_id",
        "section_id",
        "school_dcid",
        "entry_date",
        "exit_date",
        "dropped",
    },
}
queries = pytest.mark.parametrize("query", [SECTIONS, ENROLLMENTS], ids=lambda query: query.name)


def test_the_zip_holds_its_files_at_the_root_and_is_always_the_same(tmp_path: Path) -> None:
    """`plugin.xml` without a folder above it, equal bytes for equal arguments."""
    path = write_plugin(tmp_path / "plugin.zip", publisher="District", contact_email="it@d.example")
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["plugin.xml", QUERIES_FILE]
        assert archive.testzip() is None
    assert path.read_bytes() == plugin_bytes("District", "it@d.example")


def test_plugin_xml_keeps_to_the_limits_and_escapes_names() -> None:
    """Name, version and description have greatest lengths; a publisher may be called anything."""
    root = ET.fromstring(plugin_xml('A & B "Ltd" <x>', "it@d.example"))
    assert len(root.attrib["name"]) <= 40
    assert len(root.attrib["version"]) <= 20
    assert len(root.attrib["description"]) <= 256
    publisher = root.find(f"{NAMESPACE}publisher")
    assert publisher is not None
    assert publisher.attrib["name"] == 'A & B "Ltd" <x>'
    oauth = root.find(f"{NAMESPACE}oauth")
    assert oauth is not None
    assert oauth.attrib == {"accessLevelV1Api": "READ"}


@queries
def test_every_field_of_a_query_is_in_the_access_request(query: PowerQuery) -> None:
    """A field that was forgotten makes the whole query answer 403."""
    root = ET.fromstring(plugin_xml("a", "b"))
    granted = {
        f"{field.attrib['table']}.{field.attrib['field']}".lower()
        for field in root.iter(f"{NAMESPACE}field")
    }
    sql = query.sql.lower().replace("years.", "terms.")
    used = set(re.findall(r"\b([a-z]+\.[a-z_]+)\b", sql))
    assert used <= granted
    assert {field.lower() for field in query.fields} <= granted
    assert all(field.attrib["access"] == "ViewOnly" for field in root.iter(f"{NAMESPACE}field"))


@queries
def test_a_query_is_declared_as_powerschool_wants_it(query: PowerQuery) -> None:
    """A core table for aliases of one part, columns in the order of the SELECT, a stable order."""
    root = ET.fromstring(queries_xml())
    (element,) = [each for each in root if each.attrib["name"] == query.name]
    assert element.attrib["coreTable"]
    assert element.attrib["flattened"] == "true"
    assert len(element.findtext("summary") or "") <= 50
    columns = [column.text for column in element.iter("column")]
    sql = element.findtext("sql") or ""
    assert columns == re.findall(r" AS (\w+)", sql)
    assert len(set(columns)) == len(columns)
    assert sql.rstrip().endswith(f"ORDER BY {query.order_by}")


def test_the_queries_give_the_columns_that_are_read() -> None:
    """Names and columns are the contract between the plugin and the dialect."""
    assert SECTIONS_QUERY == "org.sisgate.roster.sections"
    assert ENROLLMENTS_QUERY == "org.sisgate.roster.enrollments"
    for query, name in ((SECTIONS, "sections"), (ENROLLMENTS, "enrollments")):
        assert {alias for alias, _, _ in query.columns} >= READ[name]
