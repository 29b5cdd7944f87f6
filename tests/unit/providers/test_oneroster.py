"""OneRoster: what is asked for, and what becomes of odd rows."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from sisgate.errors import AnswerInvalid, ConfigurationError
from sisgate.providers.dialect import DialectOptions, Listing, Position
from sisgate.providers.http import HttpResponse
from sisgate.providers.kinds import DIALECTS, InfiniteCampus, Skyward
from sisgate.providers.oneroster import OneRoster
from sisgate.providers.oneroster_mapping import canonical_row
from sisgate.providers.values import iso_date, reference, utc_text
from sisgate.settings import ProviderConfig


def oneroster(**options: Any) -> OneRoster:
    """A generic server with some options."""
    return OneRoster(DialectOptions(**options))


@pytest.mark.parametrize(
    ("dialect", "path", "token_path"),
    [
        (OneRoster(DialectOptions()), "/ims/oneroster/rostering/v1p2/orgs", None),
        (OneRoster(DialectOptions(version="1.1")), "/ims/oneroster/v1p1/orgs", None),
        (OneRoster(DialectOptions(base_path="/a/b/")), "/a/b/orgs", None),
        (
            InfiniteCampus(DialectOptions()),
            "/campus/api/oneroster/v1p2/ims/oneroster/rostering/v1p2/orgs",
            "/campus/oauth2/token",
        ),
        (Skyward(DialectOptions()), "/ims/oneroster/v1p2/orgs", "/oauth/token"),
        (Skyward(DialectOptions(version="1.1")), "/api/ims/oneroster/v1p1/orgs", "/oauth/token"),
    ],
)
def test_each_vendor_and_version_has_its_path(
    dialect: OneRoster, path: str, token_path: str | None
) -> None:
    """The base path follows kind and version, and an option overrides it."""
    assert dialect.probe_request().path == path
    assert dialect.token_path() == token_path


def test_the_scope_carries_the_version() -> None:
    """A 1.1 server would refuse the scope of 1.2."""
    assert "/v1p1/" in (oneroster(version="1.1").token_scope() or "")
    assert "/v1p2/" in (oneroster().token_scope() or "")


@pytest.mark.parametrize(
    "options",
    [{"version": "2.0"}, {"base_path": "/a/../b"}, {"base_path": "/a?b"}, {"base_path": "/"}],
)
def test_an_unusable_option_is_a_configuration_error(options: dict[str, Any]) -> None:
    """It is said when the provider is set up and not when the first job fails."""
    with pytest.raises(ConfigurationError):
        oneroster(**options)


def test_infinite_campus_speaks_1_2_only() -> None:
    """There is no path for 1.1."""
    with pytest.raises(ConfigurationError):
        InfiniteCampus(DialectOptions(version="1.1"))


def test_a_delta_asks_from_the_boundary_on_in_a_stable_order() -> None:
    """`>=`, in UTC and never rounded up, so that the row at the boundary comes again."""
    moment = datetime(2026, 9, 1, 3, 0, 0, 999_900, tzinfo=timezone(timedelta(hours=-5)))
    (listing,) = oneroster(page_size=50).plan("users", since=moment)
    request = oneroster().page_request(listing, Position(start=100))
    assert dict(request.query) == {
        "filter": "dateLastModified>='2026-09-01T08:00:00.999Z'",
        "limit": "50",
        "offset": "100",
        "orderBy": "asc",
        "sort": "sourcedId",
    }


def test_a_server_that_refuses_the_order_is_asked_without() -> None:
    """Once, and only for a bad request; what becomes of a refused filter is the sync's decision."""
    dialect = oneroster()
    (listing,) = dialect.plan("users", since=None)
    assert dialect.fallback("users", listing, 404) is None
    (unsorted,) = dialect.fallback("users", listing, 400) or []
    assert (unsorted.query, unsorted.name) == ((), "users:unsorted")
    assert dialect.fallback("users", unsorted, 400) is None
    (delta,) = dialect.plan("users", since=datetime(2026, 9, 1, tzinfo=UTC))
    assert dialect.fallback("users", delta, 400) is None


def test_a_listing_from_the_ledger_falls_back_as_the_planned_one() -> None:
    """The query is a tuple again after its way through JSON."""
    dialect = oneroster()
    (listing,) = dialect.plan("users", since=None)
    again = Listing.from_json(json.loads(json.dumps(listing.to_json())))
    assert dialect.fallback("users", again, 400) == dialect.fallback("users", listing, 400)


def test_a_canonical_row_is_passed_on_as_it_is() -> None:
    """Nothing is copied and nothing is lost, whatever extensions it has."""
    row = {
        "sourcedId": "u1",
        "status": "active",
        "dateLastModified": "2026-09-01T08:00:00.000Z",
        "enabledUser": "true",
        "roles": [{"roleType": "primary", "role": "student", "org": reference("org", "s1")}],
        "metadata": {"x": 1},
        "vendorField": "kept",
    }
    assert canonical_row("students", row).data is row


def test_a_user_of_several_orgs_has_a_primary_role_in_each() -> None:
    """1.2 wants one for each org. The first of 1.1's orgs is the user's primary one."""
    orgs = [{"sourcedId": "s1"}, {"sourcedId": "s2"}]
    data = canonical_row("teachers", {"sourcedId": "u", "orgs": orgs}).data
    assert data["roles"] == [
        {"roleType": "primary", "role": "teacher", "org": reference("org", each)}
        for each in ("s1", "s2")
    ]
    assert data["primaryOrg"] == reference("org", "s1")
    assert "orgs" not in data


@pytest.mark.parametrize("orgs", [{}, {"orgs": None}, {"orgs": []}, {"orgs": ""}, {"orgs": [None]}])
@pytest.mark.parametrize(("role", "known"), [("parent", "parent"), ("nurse", "ext:nurse")])
def test_a_user_without_orgs_keeps_the_role(orgs: Any, role: str, known: str) -> None:
    """Parents and officers of a district belong to no school."""
    data = canonical_row("users", {"sourcedId": "p", "role": role, **orgs}).data
    assert data["roles"] == [{"roleType": "primary", "role": known}]
    assert "orgs" not in data


@pytest.mark.parametrize(
    "sent",
    [
        {"orgs": "s1"},
        {"orgs": ["s1"]},
        {"orgs": {"sourcedId": "s1"}},
        {"orgs": [{"sourcedId": "s1", "type": "userOrgs"}, {"sourcedId": None}]},
        {"orgSourcedIds": "s1"},
        {"orgSourcedIds": ["s1"]},
        {"userOrgs": [{"sourcedId": "s1"}]},
        {"primaryOrg": {"sourcedId": "s1"}},
        {"roles": [{"role": "student", "org": "s1"}, {"role": None, "org": "s2"}, None]},
    ],
)
def test_orgs_are_read_in_the_forms_servers_give_them(sent: dict[str, Any]) -> None:
    """Objects, ids, one text or a list, under several names."""
    flaws: list[tuple[str, str]] = []
    user = {"sourcedId": "u", "role": "student", **sent}
    data = canonical_row("users", user, lambda *told: flaws.append(told)).data
    assert data["roles"] == [
        {"roleType": "primary", "role": "student", "org": reference("org", "s1")}
    ]
    assert flaws == []
    assert not {"orgs", "orgSourcedIds", "userOrgs", "role"} & data.keys()


@pytest.mark.parametrize("form", ["c1", 1, {"sourcedId": "c1"}, [{"sourcedId": "c1"}], ["c1"]])
def test_a_reference_is_read_in_its_forms(form: Any) -> None:
    """Also where the specification wants one, and a server gives a list of one."""
    row = {"sourcedId": "e", "class": form, "userSourcedId": "u1"}
    data = canonical_row("enrollments", row).data
    assert data["class"] == reference("class", "1" if form == 1 else "c1")
    assert data["user"] == reference("user", "u1")
    assert "userSourcedId" not in data


@pytest.mark.parametrize(
    ("resource", "field", "value"),
    [
        ("enrollments", "class", {"id": 7}),
        ("enrollments", "class", 1.5),
        ("enrollments", "primary", "perhaps"),
        ("enrollments", "role", ["student"]),
        ("users", "givenName", {"first": "A"}),
        ("users", "orgs", [{"name": "s1"}]),
        ("users", "grades", [["9"]]),
        ("orgs", "status", 3),
        ("orgs", "status", "retired"),
    ],
)
def test_a_value_that_cannot_be_read_is_left_out_and_told(
    resource: str, field: str, value: Any
) -> None:
    """The record is kept; the note has the field's name and not its value."""
    told: list[tuple[str, str]] = []
    row = {"sourcedId": "x", field: value}
    data = canonical_row(resource, row, lambda *words: told.append(words)).data
    assert [name for name, _ in told] == [field]
    assert data.get(field) == ("active" if field == "status" else None)
    assert data["sourcedId"] == "x"


def test_nulls_are_not_passed_on() -> None:
    """Neither as fields nor in lists: the specification knows none."""
    row = {"sourcedId": "u", "role": None, "orgs": None, "grades": [None, "09"], "middleName": None}
    assert canonical_row("users", row).data == {
        "sourcedId": "u",
        "status": "active",
        "grades": ["09"],
        "roles": [],
    }


def test_a_role_that_1_2_does_not_know_becomes_an_extension() -> None:
    """An administrator of 1.1 may be of a school, a district or the system."""
    row = {"sourcedId": "u", "role": "administrator", "orgs": {"sourcedId": "s1"}}
    (role,) = canonical_row("users", row).data["roles"]
    assert role["role"] == "ext:administrator"


@pytest.mark.parametrize(
    ("resource", "row", "expected"),
    [
        ("enrollments", {"primary": "TRUE"}, {"primary": "true"}),
        ("enrollments", {"primary": False}, {"primary": "false"}),
        ("demographics", {"birthdate": "20110503"}, {"birthDate": "2011-05-03"}),
        ("classes", {"grades": "09, 10"}, {"grades": ["09", "10"]}),
        ("classes", {"terms": {"sourcedId": "t"}}, {"terms": [reference("academicSession", "t")]}),
        ("courses", {"schoolYear": "y"}, {"schoolYear": reference("academicSession", "y")}),
        ("users", {"identifier": 7}, {"identifier": "7"}),
        ("orgs", {"status": "inactive"}, {"status": "tobedeleted"}),
        ("terms", {"schoolYear": 2027}, {"schoolYear": "2027"}),
        ("orgs", {"status": "ToBeDeleted"}, {"status": "tobedeleted"}),
        ("orgs", {"status": ""}, {"status": "active"}),
        ("orgs", {"sourcedId": 12}, {"sourcedId": "12"}),
    ],
)
def test_other_forms_become_the_canonical_one(
    resource: str, row: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Booleans, dates, lists, years, status and ids in the forms that servers use for them."""
    data = canonical_row(resource, {"sourcedId": "x", **row}).data
    assert {name: data[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-09-01T08:00:00.1234567Z", "2026-09-01T08:00:00.1234567Z"),
        ("2026-09-01T08:00:00+02:00", "2026-09-01T06:00:00.000Z"),
        ("2026-09-01 08:00:00", "2026-09-01T08:00:00.000Z"),
        ("20260901T080000Z", "2026-09-01T08:00:00.000Z"),
        ("2026-09-01", "2026-09-01T00:00:00.000Z"),
    ],
)
def test_times_become_utc(text: str, expected: str) -> None:
    """In whatever form of ISO 8601 they come."""
    assert utc_text(text) == expected


@pytest.mark.parametrize(
    "time",
    ["soon", "9/1/2026 8:00 AM", "0001-01-01T00:00:00+14:00", "0000-00-00T00:00:00Z",
     "2026-02-30T00:00:00Z", "/Date(1788249600000)/", 1788249600000, True, {"d": 1}],
)  # fmt: skip
def test_what_is_no_time_is_left_out_and_noted(time: Any) -> None:
    """Apps read times of one form, or none."""
    noted: list[str] = []
    row = {"sourcedId": "u", "dateLastModified": time}
    data = canonical_row("orgs", row, lambda field, _: noted.append(field)).data
    assert "dateLastModified" not in data
    assert noted == ["dateLastModified"]


@pytest.mark.parametrize(
    ("resource", "field", "sent", "known"),
    [
        ("orgs", "type", "School", "school"),
        ("orgs", "type", "Campus", "ext:Campus"),
        ("academicSessions", "type", "SCHOOLYEAR", "schoolYear"),
        ("classes", "classType", "Homeroom ", "homeroom"),
        ("enrollments", "role", "Student", "student"),
        ("enrollments", "role", "ext:auditor", "ext:auditor"),
        ("demographics", "sex", "F", "female"),
        ("demographics", "sex", "Male", "male"),
    ],
)
def test_words_are_those_of_the_vocabulary(
    resource: str, field: str, sent: str, known: str
) -> None:
    """In whatever case they come; others are extensions of it."""
    assert canonical_row(resource, {"sourcedId": "x", field: sent}).data[field] == known


@pytest.mark.parametrize("sent", ["STUDENT", " Student", "student"])
def test_a_role_is_one_in_any_case_and_version(sent: str) -> None:
    """An app that looks for students finds them all."""
    by_1_2 = {"sourcedId": "u", "roles": [{"roleType": "SECONDARY", "role": sent}]}
    assert canonical_row("users", by_1_2).data["roles"] == [
        {"roleType": "secondary", "role": "student"}
    ]
    (role,) = canonical_row("users", {"sourcedId": "u", "role": sent}).data["roles"]
    assert role["role"] == "student"


def test_nulls_inside_a_users_lists_are_left_out() -> None:
    """As nulls beside them are."""
    row = {
        "sourcedId": "u",
        "userIds": [None, {"type": "LDAP", "identifier": None}, {"type": None}],
        "userProfiles": [None, {"profileId": "p", "vendorId": None}],
    }
    data = canonical_row("users", row).data
    assert data["userIds"] == [{"type": "LDAP"}]
    assert data["userProfiles"] == [{"profileId": "p"}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-09-01T00:00:00+00:00", "2026-09-01"),
        ("2026/09/01", "2026-09-01"),
        ("2026-09-01T05:00:00Z", "2026-09-01T05:00:00Z"),
        ("2026-13-01", "2026-13-01"),
        ("2026-0901", "2026-0901"),
    ],
)
def test_only_unambiguous_days_become_days(text: str, expected: str) -> None:
    """A time of day may be a midnight elsewhere, and then the day would be the wrong one."""
    assert iso_date(text) == expected


def test_the_registry_names_what_there_is() -> None:
    """An unknown kind is answered with the known ones, and each is filed under its own name."""
    with pytest.raises(ValueError, match="infinite_campus, oneroster, powerschool, skyward"):
        ProviderConfig(name="a", kind="aeries", endpoints=[{"url": "https://sis.test"}])
    assert all(dialect.kind == kind for kind, dialect in DIALECTS.items())


@pytest.mark.parametrize("resource", ["users", "students", "teachers"])
def test_a_password_is_not_kept(resource: str) -> None:
    """Neither 1.1's own nor those of 1.2's credentials, in the record or in its original."""
    credentials = [{"type": "LDAP", "username": "ann", "password": "swordfish"}]
    user = {
        "sourcedId": "u1",
        "role": "student",
        "password": "swordfish",
        "userProfiles": [{"profileId": "p", "credentials": credentials}],
    }
    row = canonical_row(resource, user)
    assert "swordfish" not in json.dumps([row.data, row.original])
    assert row.data["userProfiles"][0]["credentials"][0]["username"] == "ann"


@pytest.mark.parametrize("held", [{"user": [{"sourcedId": "s1"}]}, {"id": 7}, {}, "s1", 7])
def test_an_envelope_without_a_list_in_it_is_no_page(held: Any) -> None:
    """An object there is a list of one only where it is a row: it would be read for ever else."""
    dialect = oneroster()
    listing = dialect.plan("students", since=None)[0]
    response = HttpResponse(200, {}, json.dumps({"users": held}).encode())
    with pytest.raises(AnswerInvalid, match="holds no list of students"):
        dialect.read_page("students", listing, Position(), response)
