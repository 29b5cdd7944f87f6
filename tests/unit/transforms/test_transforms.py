"""What rules make of requests and responses, and what is said when they cannot."""

import json
from importlib.metadata import EntryPoint
from typing import Any

import pytest
from pydantic import ValidationError

from sisgate import transforms
from sisgate.errors import TransformFailed, UsageError
from sisgate.settings.provider import ProviderConfig
from sisgate.settings.transforms import TransformConfig
from sisgate.transforms import apply_to_request, apply_to_response, rule_of

STUDENTS = "/ws/v1/district/student"
TARGET = {"method": "GET", "path": STUDENTS, "query": {"page": "2"}, "json": None}
JSON = {"content-type": "application/json", "etag": "x"}


def config(*rules: dict[str, Any]) -> ProviderConfig:
    """Return a provider with these rules."""
    return ProviderConfig.model_validate(
        {
            "name": "powerschool", "kind": "powerschool", "transforms": list(rules),
            "endpoints": [{"url": "https://sis.test"}],
        }
    )  # fmt: skip


def rule(**words: Any) -> dict[str, Any]:
    """Return a rule for students."""
    return {"name": "names", "path": STUDENTS, **words}


def first(provider: ProviderConfig) -> TransformConfig:
    """Return its only rule."""
    (only,) = provider.transforms
    return only


def answer(provider: ProviderConfig, value: Any, status: int = 200) -> Any:
    """Return what its rule makes of a response."""
    return apply_to_response(provider, first(provider), status, JSON, json.dumps(value).encode())


def test_a_request_gets_query_headers_and_body() -> None:
    """What is set replaces what was given; the rule is named in the target."""
    provider = config(
        rule(request={"query": {"page": "1", "q": "x"}, "headers": {"Accept": "text/csv"},
                      "jmespath": "{ids: students[].id}"})
    )  # fmt: skip
    body = {"text": '{"students": [{"id": 7}]}'}
    target = {**TARGET, "headers": {"content-type": "application/json"}, "body": body}
    assert apply_to_request(provider, first(provider), target) == {
        "method": "GET", "path": STUDENTS, "query": {"page": "1", "q": "x"},
        "json": {"ids": [7]}, "headers": {"accept": "text/csv"}, "transform": "names",
    }  # fmt: skip


def test_a_response_is_shaped_and_says_that_it_is_json() -> None:
    """By JMESPath; the tag was that of another body. Refusals are left alone."""
    provider = config(rule(response={"jmespath": "a[].b", "headers": {"x-shape": "1"}}))
    done = answer(provider, {"a": [{"b": 1}, {"b": 2}]})
    assert json.loads(done.body) == [1, 2]
    assert done.headers == {"content-type": "application/json", "x-shape": "1"}
    assert json.loads(answer(provider, {"a": 1}, 404).body) == {"a": 1}


def test_a_powerschool_page_becomes_records() -> None:
    """And the request gets what the mapping needs, unless it has its own."""
    provider = config(rule(response={"canonical": "students"}))
    row = {"id": 7, "local_id": 70, "name": {"first_name": "Ana", "last_name": "Núñez"}}
    done = json.loads(answer(provider, {"students": {"student": [row]}}).body)
    assert done["received"] == 1
    assert done["flaws"] == []
    assert done["students"][0]["familyName"] == "Núñez"
    assert "expansions" in apply_to_request(provider, first(provider), TARGET)["query"]
    own = {**TARGET, "query": {"expansions": "none"}}
    assert apply_to_request(provider, first(provider), own)["query"]["expansions"] == "none"


def test_a_function_of_an_entry_point_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is not installed, or that raises, is named with the rule."""
    points = [EntryPoint("count", "builtins:len", transforms.GROUP)]
    monkeypatch.setattr(transforms, "entry_points", lambda **_: points)
    provider = config(rule(response={"python": "count"}))
    assert json.loads(answer(provider, [1, 2]).body) == 2
    with pytest.raises(TransformFailed, match=r"names.*response.python: count raised TypeError"):
        answer(provider, 5)
    with pytest.raises(TransformFailed, match="no transformer 'other'"):
        answer(config(rule(response={"python": "other"})), [1])


@pytest.mark.parametrize(
    ("response", "value", "place"),
    [
        ({"jmespath": "length(a)"}, {"a": 4711}, "response.jmespath"),
        ({"jmespath": "sum(a)"}, {"a": ["4711"]}, "response.jmespath"),
        ({"jmespath": "abs(a, a)"}, {"a": 4711}, "response.jmespath"),
        ({"jmespath": "nothing_of(a)"}, {"a": 4711}, "response.jmespath"),
        ({"canonical": "students"}, {"a": 4711}, "response.canonical"),
    ],
)
def test_a_failure_names_rule_and_place_and_no_value(
    response: dict[str, Any], value: Any, place: str
) -> None:
    """The value may be a student's."""
    with pytest.raises(TransformFailed) as failed:
        answer(config(rule(response=response)), value)
    assert failed.value.detail == {"provider": "powerschool", "rule": "names", "place": place}
    assert "names" in failed.value.message
    assert "4711" not in failed.value.message


@pytest.mark.parametrize("response", [{"jmespath": "a"}, {"canonical": "students"}])
def test_a_response_without_a_body_is_not_shaped(response: dict[str, Any]) -> None:
    """A DELETE with 204 was carried out: an error would say that it was not."""
    provider = config(rule(response=response | {"headers": {"x-shape": "names"}}))
    done = apply_to_response(provider, first(provider), 204, {"etag": '"1"'}, b"")
    assert (done.body, done.headers) == (b"", {"etag": '"1"', "x-shape": "names"})


def test_a_body_that_is_not_json_cannot_be_shaped() -> None:
    """It is said where."""
    provider = config(rule(response={"jmespath": "a"}))
    with pytest.raises(TransformFailed, match=r"response.jmespath: the body is not JSON"):
        apply_to_response(provider, first(provider), 200, {}, b"<html>")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"response": {"jmespath": "a[?"}}, "no JMESPath expression"),
        ({"request": {"headers": {"authorization": "x"}}}, "cannot be sent"),
        ({"response": {"canonical": "pets"}}, "powerschool has no pets"),
        ({"response": {"canonical": "students"}, "path": "/x"}, f"read from {STUDENTS}"),
        ({"path": "x"}, "pattern"),
    ],
)
def test_a_mistake_is_reported_when_the_configuration_is_read(
    wrong: dict[str, Any], said: str
) -> None:
    """With its place, before any request meets it."""
    with pytest.raises(ValidationError, match=said):
        config(rule(**wrong))


def test_the_first_rule_that_fits_applies_unless_one_is_named() -> None:
    """One that must be asked for is not among them."""
    provider = config(
        rule(name="asked", asked=True), rule(name="posts", methods=["POST"]),
        rule(name="all", path="/ws/*"),
    )  # fmt: skip

    def chosen(path: str, name: str | None = None) -> str | None:
        found = rule_of(provider, "GET", path, name)
        return None if found is None else found.name

    assert chosen(STUDENTS) == "all"
    assert chosen(STUDENTS, "asked") == "asked"
    assert chosen("/x") is None
    with pytest.raises(UsageError, match="is not for GET"):
        chosen(STUDENTS, "posts")
    with pytest.raises(UsageError, match="Did you mean 'asked'"):
        chosen(STUDENTS, "askd")
