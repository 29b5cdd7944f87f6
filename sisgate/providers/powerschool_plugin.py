"""The plugin that a district installs in PowerSchool: credentials, field access, two PowerQueries.

Format: PowerSchool's developer pages "Plugin XML", "Access Request" and "PowerQueries" (public
copies, looked up 2026-11-23). What they ask for and is easily missed: the names of plugin (40
characters), version (20) and description (256) are limited; every field that a query touches must
be in the access request, or the query answers 403; an alias of one part needs a `coreTable`; the
columns stand in the order of the SELECT; without ORDER BY the pages are not stable; from 25.2 on
`/ws/v1` is closed unless `accessLevelV1Api` asks for it. `permissions_root` is left out: it grants
queries to people signed in to PowerSchool's own pages, and sisgate comes in by OAuth.

The queries give the same ids as `/ws/v1` does (DCIDs) and the school years that are not over yet.
"""

import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

SECTIONS_QUERY = "org.sisgate.roster.sections"
ENROLLMENTS_QUERY = "org.sisgate.roster.enrollments"
QUERIES_FILE = "queries_root/org.sisgate.roster.named_queries.xml"
PLUGIN_VERSION = "1.0"

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time a zip can hold, so that equal plugins are equal bytes."""

_TERM_AND_SCHOOL = """\
INNER JOIN terms ON terms.id = sections.termid AND terms.schoolid = sections.schoolid
INNER JOIN schools ON schools.school_number = sections.schoolid"""
_NOT_OVER = """\
EXISTS (
    SELECT 1 FROM terms years
    WHERE years.schoolid = terms.schoolid AND years.yearid = terms.yearid
      AND years.isyearrec = 1 AND years.lastday >= TRUNC(SYSDATE)
)"""


@dataclass(frozen=True)
class PowerQuery:
    """One named query. `columns` are (alias, physical column, SQL expression) in SELECT order."""

    name: str
    core_table: str
    summary: str
    columns: tuple[tuple[str, str, str], ...]
    source: str
    order_by: str
    also_read: tuple[str, ...] = ()

    @property
    def sql(self) -> str:
        """The SELECT statement."""
        chosen = ",\n".join(f"    {expression} AS {alias}" for alias, _, expression in self.columns)
        return f"SELECT\n{chosen}\n{self.source}\nORDER BY {self.order_by}"

    @property
    def fields(self) -> set[str]:
        """All physical columns the query touches, as `TABLE.FIELD`."""
        return {physical for _, physical, _ in self.columns} | set(self.also_read)

    def to_xml(self) -> str:
        """The `<query>` element."""
        columns = "\n".join(
            f'      <column column="{physical}">{alias}</column>'
            for alias, physical, _ in self.columns
        )
        return (
            f'  <query name="{self.name}" coreTable="{self.core_table}" flattened="true">\n'
            f"    <summary>{escape(self.summary)}</summary>\n    <args/>\n"
            f"    <columns>\n{columns}\n    </columns>\n"
            f"    <sql><![CDATA[\n{self.sql}\n]]></sql>\n  </query>"
        )


def _date(column: str) -> str:
    return f"TO_CHAR({column}, 'YYYY-MM-DD')"


_JOINED = (
    "SECTIONS.ID",
    "SECTIONS.TERMID",
    "SECTIONS.SCHOOLID",
    "TERMS.ID",
    "TERMS.SCHOOLID",
    "TERMS.YEARID",
    "TERMS.ISYEARREC",
    "TERMS.LASTDAY",
    "SCHOOLS.SCHOOL_NUMBER",
)

SECTIONS = PowerQuery(
    name=SECTIONS_QUERY,
    core_table="sections",
    summary="Sections of the district for rostering",
    columns=(
        ("id", "SECTIONS.DCID", "sections.dcid"),
        ("section_number", "SECTIONS.SECTION_NUMBER", "sections.section_number"),
        ("course_dcid", "COURSES.DCID", "courses.dcid"),
        ("course_number", "COURSES.COURSE_NUMBER", "courses.course_number"),
        ("course_name", "COURSES.COURSE_NAME", "courses.course_name"),
        ("school_id", "SECTIONS.SCHOOLID", "sections.schoolid"),
        ("school_dcid", "SCHOOLS.DCID", "schools.dcid"),
        ("teacher_id", "SCHOOLSTAFF.DCID", "schoolstaff.dcid"),
        ("term_id", "SECTIONS.TERMID", "sections.termid"),
        ("term_dcid", "TERMS.DCID", "terms.dcid"),
        ("room", "SECTIONS.ROOM", "sections.room"),
        ("expression", "SECTIONS.EXPRESSION", "sections.expression"),
        ("grade_level", "SECTIONS.GRADE_LEVEL", "sections.grade_level"),
    ),
    source=f"""\
FROM sections
{_TERM_AND_SCHOOL}
LEFT JOIN courses ON courses.course_number = sections.course_number
LEFT JOIN schoolstaff ON schoolstaff.id = sections.teacher
WHERE {_NOT_OVER}""",
    order_by="sections.dcid",
    also_read=(*_JOINED, "SECTIONS.COURSE_NUMBER", "SECTIONS.TEACHER", "SCHOOLSTAFF.ID"),
)

ENROLLMENTS = PowerQuery(
    name=ENROLLMENTS_QUERY,
    core_table="cc",
    summary="Section enrollments for rostering",
    columns=(
        ("id", "CC.DCID", "cc.dcid"),
        ("student_id", "STUDENTS.DCID", "students.dcid"),
        ("section_id", "SECTIONS.DCID", "sections.dcid"),
        ("school_dcid", "SCHOOLS.DCID", "schools.dcid"),
        ("entry_date", "CC.DATEENROLLED", _date("cc.dateenrolled")),
        ("exit_date", "CC.DATELEFT", _date("cc.dateleft")),
        # PowerSchool marks a dropped enrollment by the negative of its section's id.
        ("dropped", "CC.SECTIONID", "CASE WHEN cc.sectionid < 0 THEN 'true' ELSE 'false' END"),
    ),
    source=f"""\
FROM cc
INNER JOIN sections ON sections.id = ABS(cc.sectionid)
INNER JOIN students ON students.id = cc.studentid
{_TERM_AND_SCHOOL}
WHERE {_NOT_OVER}""",
    order_by="cc.dcid",
    also_read=(*_JOINED, "CC.STUDENTID", "STUDENTS.ID"),
)


def queries_xml() -> str:
    """Return the file of both PowerQueries."""
    queries = "\n".join(query.to_xml() for query in (SECTIONS, ENROLLMENTS))
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<queries>\n{queries}\n</queries>\n'


def plugin_xml(publisher: str, contact_email: str) -> str:
    """Return `plugin.xml`: OAuth, read access to `/ws/v1`, and every field the queries touch."""
    fields = "\n".join(
        '    <field table="{}" field="{}" access="ViewOnly"/>'.format(*name.split("."))
        for name in sorted(SECTIONS.fields | ENROLLMENTS.fields)
    )
    return f"""\
<?xml version="1.0" encoding="UTF-8"?>
<plugin xmlns="http://plugin.powerschool.pearson.com"
        xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
        xsi:schemaLocation="http://plugin.powerschool.pearson.com plugin.xsd"
        name="sisgate"
        version="{PLUGIN_VERSION}"
        description="Rostering through sisgate: read access and two PowerQueries">
  <oauth accessLevelV1Api="READ"/>
  <access_request>
{fields}
  </access_request>
  <publisher name={quoteattr(publisher)}>
    <contact email={quoteattr(contact_email)}/>
  </publisher>
</plugin>
"""


def plugin_bytes(publisher: str, contact_email: str) -> bytes:
    """Return the zip that a district uploads. Equal arguments give equal bytes."""
    held = BytesIO()
    files = {"plugin.xml": plugin_xml(publisher, contact_email), QUERIES_FILE: queries_xml()}
    with zipfile.ZipFile(held, "w") as archive:
        for name, content in files.items():
            # Stored, because what a compressor gives may change with its version.
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o644 << 16
            entry.create_system = 3
            archive.writestr(entry, content)
    return held.getvalue()


def write_plugin(
    path: Path, *, publisher: str = "sisgate", contact_email: str = "sisgate@example.org"
) -> Path:
    """Write the plugin zip to `path` and return it. Whom to ask stands in the plugin's page."""
    path.write_bytes(plugin_bytes(publisher, contact_email))
    return path
