"""Which requests go to a provider, and with which path."""

from typing import Any

import pytest

from sisgate.errors import UnknownJob, UnknownProvider, UsageError
from sisgate.integrations.interception import (
    Intercepted,
    Interception,
    Interceptor,
    query_of,
    sent_path,
)

JOB = "0d4a3f0e-4d0c-4a52-8f6c-0c8f0f9a6f11"


def interceptor(*rules: Interception, **words: Any) -> Interceptor:
    """Return one below /sis."""
    return Interceptor("/sis", rules, words.get("providers"))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/sis/lincoln/orgs", Intercepted("lincoln", "/orgs")),
        ("/sis/lincoln/", Intercepted("lincoln", "/")),
        ("/sis/lincoln/a%2Fb/ü", Intercepted("lincoln", "/a%2Fb/ü")),
        (f"/sis/-/jobs/{JOB}", Intercepted(job_id=JOB)),
    ],
)
def test_what_is_below_the_prefix_goes_to_the_named_provider(
    path: str, expected: Intercepted
) -> None:
    """The rest of the path as it was sent."""
    assert interceptor().match(path, "GET") == expected


@pytest.mark.parametrize(
    "path", ["/", "/sis", "/sis/lincoln", "/sister/x/y", "//sis/x/y", "/a/sis/x/y"]
)
def test_everything_else_is_the_apps(path: str) -> None:
    """Also what only resembles the prefix."""
    assert not interceptor().is_for_us(path, "GET")


@pytest.mark.parametrize(
    "path",
    [
        "/sis/lincoln/../x", "/sis/lincoln/%2e%2e/x", "/sis/lincoln/%252e%252e/x",
        "/sis/lincoln//evil.test/x", "/sis/lincoln/a\\b", "/sis/lincoln/%5c..%5cx",
        "/sis/lincoln/a%00b", "/sis/lincoln/a%0d%0aX:y", "/sis/lincoln/%c0%ae%c0%ae/x",
        "/sis/lincoln/..;/x", "/sis/lincoln/a%3f/../x", "/sis/lincoln/.%2e/",
    ],
)  # fmt: skip
def test_a_path_that_could_leave_the_base_path_is_refused(path: str) -> None:
    """It is ours, so that the app does not see it either."""
    assert interceptor().is_for_us(path, "GET")
    with pytest.raises(UsageError):
        interceptor().match(path, "GET")


@pytest.mark.parametrize(
    "provider",
    ["..", "%2e%2e", "user@evil.test", "evil.test:80", "Lincoln", "http:", "-", "a" * 64],
)
def test_what_is_no_name_of_a_provider_is_none(provider: str) -> None:
    """No host can be written in its place."""
    with pytest.raises(UnknownProvider):
        interceptor().match(f"/sis/{provider}/x", "GET")


def test_only_the_chosen_providers_are_served() -> None:
    """The others do not exist here."""
    only = interceptor(providers=["lincoln"])
    assert only.match("/sis/lincoln/x", "GET").provider == "lincoln"
    with pytest.raises(UnknownProvider):
        only.match("/sis/other/x", "GET")


def test_rules_come_before_the_prefix() -> None:
    """The first that matches, by path and method."""
    rules = (
        Interception("/students/{id}/", "powerschool", "/ws/v1/student/{id}", methods={"GET"}),
        Interception("/roster/{provider}/{path}", "{provider}", "/ims/oneroster/v1p1/{path}"),
        Interception("/sis/lincoln/{path}", "twin", "/{path}"),
    )
    some = interceptor(*rules)
    assert some.match("/students/5/", "GET") == Intercepted("powerschool", "/ws/v1/student/5")
    assert not some.is_for_us("/students/5/", "POST")
    assert not some.is_for_us("/students/5/6/", "GET")
    assert some.match("/roster/lincoln/orgs/7", "GET").path == "/ims/oneroster/v1p1/orgs/7"
    assert some.match("/sis/lincoln/orgs", "GET") == Intercepted("twin", "/orgs")
    with pytest.raises(UsageError):
        some.match("/students/%2e%2e/", "GET")


@pytest.mark.parametrize(
    ("pattern", "provider", "path"),
    [
        ("students", "lincoln", "/x"), ("/students/{id}", "lincoln", "x"),
        ("/students/{id}", "lincoln", "/x/{name}"), ("/{path}/x", "lincoln", "/{path}"),
        ("/students/{id", "lincoln", "/x"), ("/{id}/{id}", "lincoln", "/{id}"),
        ("/students", "lincoln", "/x?y=1"), ("/students", "{ID}", "/x"),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_work_ends_the_start(pattern: str, provider: str, path: str) -> None:
    """Rather than to fail for each request."""
    with pytest.raises(UsageError):
        Interception(pattern, provider, path)


@pytest.mark.parametrize("methods", ["GET", ["get"]])
def test_methods_that_would_match_nothing_end_the_start(methods: Any) -> None:
    """So do names of providers that are one text."""
    with pytest.raises(UsageError):
        Interception("/students", "lincoln", "/x", methods=methods)
    with pytest.raises(UsageError):
        interceptor(providers="lincoln")


def test_a_job_has_a_uuid() -> None:
    """Nothing else is looked up."""
    with pytest.raises(UnknownJob):
        interceptor().match("/sis/-/jobs/..%2fx", "GET")


@pytest.mark.parametrize(
    ("root_path", "path", "raw_path", "sent"),
    [
        ("", "/sis/l/a/b", b"/sis/l/a%2Fb", "/sis/l/a%2Fb"),
        ("/api", "/api/sis/l/a", b"/api/sis/l/a", "/sis/l/a"),  # uvicorn, and a mounted app
        ("/api", "/sis/l/a", b"/sis/l/a", "/sis/l/a"),  # FastAPI(root_path=…)
        ("/api/", "/api/sis/l/a", b"/api/sis/l/a", "/sis/l/a"),
        ("/si", "/sis/l/a", b"/sis/l/a", "/sis/l/a"),
        ("", "/sis/l/ü", None, "/sis/l/%C3%BC"),
        ("", "/sis/l/a", b"/sis/l/a?b=c", "/sis/l/a"),
        ("", "/sis/l/a", b"/sis/l/../../b", None),
        ("/api", "/sis/l/a", b"/api/x/sis/l/a", None),
        ("", "http://evil.test/sis/l/a", b"http://evil.test/sis/l/a", "http://evil.test/sis/l/a"),
    ],
)
def test_the_path_is_the_one_that_was_sent(
    root_path: str, path: str, raw_path: bytes | None, sent: str | None
) -> None:
    """Below the root path, and only if what was decoded is the same."""
    scope = {"root_path": root_path, "path": path} | (
        {} if raw_path is None else {"raw_path": raw_path}
    )
    assert sent_path(scope) == sent


def test_a_query_keeps_order_and_blanks_and_has_bounds() -> None:
    """Repeated names, too; what is no UTF-8 is refused."""
    scope = {"query_string": b"a=1&b=&a=%C3%BC+x"}
    assert query_of(scope) == [("a", "1"), ("b", ""), ("a", "ü x")]
    for raw in (b"a=%ff", b"&".join([b"a=1"] * 501), b"a=" + b"x" * 20_000):
        with pytest.raises(UsageError):
            query_of({"query_string": raw})
