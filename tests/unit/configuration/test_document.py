"""A configuration file becomes a document, JSON and a file again, and stays the same."""

import json
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from sisgate.configuration import FleetConfiguration
from sisgate.configuration.diff import differences
from sisgate.configuration.document import Document, digest, draft_of, read_file
from sisgate.errors import ConfigurationError
from sisgate.settings import load_settings
from sisgate.settings.problems import ConfigSource

NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,12}", fullmatch=True).filter(
    lambda name: name != "sisgate"
)
URLS = st.integers(1, 5).map(lambda number: f"https://sis{number}.test")
ENDPOINTS = st.lists(URLS, min_size=1, max_size=3, unique=True).flatmap(
    lambda urls: st.tuples(
        *(
            st.fixed_dictionaries({"url": st.just(url)}, optional={"weight": st.integers(1, 9)})
            for url in urls
        )
    ).map(list)
)
HOURS = {"zone": "America/Chicago", "start": "08:00:00", "end": "15:30:00", "days": [0, 4]}
PROVIDERS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["powerschool", "skyward", "infinite_campus"]),
        "endpoints": ENDPOINTS,
    },
    optional={
        "limit": st.sampled_from(["1000/h", ["20/s", "500/h"], "off"]),
        "burst": st.integers(1, 50),
        "timeout_seconds": st.floats(1, 100),
        "full_sync_every": st.sampled_from(["P7D", "2d", 3600]),
        "school_hours": st.just(HOURS),
        "retry": st.fixed_dictionaries({}, optional={"tries": st.integers(1, 9)}),
    },
)
DOCUMENTS = st.fixed_dictionaries(
    {"providers": st.dictionaries(NAMES, PROVIDERS, max_size=4)},
    optional={
        "apps": st.dictionaries(NAMES, st.fixed_dictionaries({"weight": st.floats(0.1, 10)})),
        "retention": st.just({"jobs": "keep", "changes": "P30D"}),
        "response_max_bytes": st.integers(1024, 10**7),
    },
)  # fmt: skip


def drafted(document: Document) -> Any:
    """The draft of a document."""
    return draft_of(document, ConfigSource(name="test"))


@given(DOCUMENTS)
def test_a_document_survives_file_and_json(
    tmp_path_factory: pytest.TempPathFactory, document: Document
) -> None:
    """`config show > file` and `config apply file` change nothing."""
    first = drafted(document)
    path = tmp_path_factory.mktemp("roundtrip") / "sisgate.toml"
    path.write_text(tomlkit.dumps(first.document), "utf-8")
    from_file = read_file(path)
    from_json = drafted(json.loads(json.dumps(first.document)))
    assert first.document == from_file.document == from_json.document == document
    assert first.digest == from_file.digest == from_json.digest
    assert first.configuration == from_file.configuration == from_json.configuration


@given(DOCUMENTS, DOCUMENTS)
def test_differences_are_found_both_ways(one: Document, other: Document) -> None:
    """None means equal; what is added one way is removed the other way."""
    there, back = differences(one, other), differences(other, one)
    assert there == [] or digest(one) != digest(other)
    turned = {"add": "remove", "remove": "add", "change": "change"}
    assert sorted((turned[each.kind], each.subject) for each in there) == sorted(
        (each.kind, each.subject) for each in back
    )


FILE = """
app_name = "here"
[providers.lincoln]
kind = "powerschool"
ca_file = "certs/ca.pem"
school_hours = { zone = "America/Chicago", start = 08:00:00, end = 15:30:00 }
endpoints = [{ url = "https://sis.test" }]
"""


def test_only_what_the_fleet_shares_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither this process's own settings nor what its machine adds; files by their whole path."""
    monkeypatch.setenv("HTTPS_PROXY", "http://u:hunter2@proxy.test:3128")
    path = tmp_path / "sisgate.toml"
    path.write_text(FILE, "utf-8")
    draft = read_file(path)
    assert draft.document == {
        "providers": {
            "lincoln": {
                "kind": "powerschool", "ca_file": str(tmp_path / "certs/ca.pem"),
                "school_hours": {
                    "zone": "America/Chicago", "start": "08:00:00", "end": "15:30:00"
                },
                "endpoints": [{"url": "https://sis.test"}],
            }
        }
    }  # fmt: skip
    (config,) = draft.configuration.providers.values()
    assert config == load_settings(path, data_dir=tmp_path).providers["lincoln"]
    assert config.network.proxy == "http://u:hunter2@proxy.test:3128"


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ('proxy = "http://u:hunter2@proxy.test"', "providers.a.proxy"),
        (
            'rotation = { source = "x", options = { api_key = "hunter2" } }',
            "providers.a.rotation.options.api_key",
        ),
        (
            'transforms = [{ name = "t", path = "/x", request.headers.x-api-key = "hunter2" }]',
            "providers.a.transforms.0.request.headers.x-api-key",
        ),
    ],
)
def test_a_secret_is_refused_with_its_place(tmp_path: Path, line: str, place: str) -> None:
    """The value is not repeated."""
    path = tmp_path / "sisgate.toml"
    text = f'[providers.a]\nkind = "skyward"\nendpoints = [{{ url = "https://a.test" }}]\n{line}\n'
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigurationError) as caught:
        read_file(path)
    (problem,) = caught.value.problems
    assert problem.startswith(f"sisgate.toml:4: {place}: ")
    assert "hunter2" not in str(caught.value)


def test_a_file_that_holds_a_secret_may_be_named() -> None:
    """That is where it belongs."""
    options = {"command": ["/bin/new-key"], "token_file": "/run/secrets/token"}
    rotation = {"source": "command", "options": options}
    table = {"kind": "skyward", "endpoints": [{"url": "https://a.test"}], "rotation": rotation}
    assert drafted({"providers": {"a": table}}).document["providers"]["a"] == table


def test_a_schedule_of_no_provider_is_a_mistake() -> None:
    """As in a file."""
    with pytest.raises(ConfigurationError, match=r"schedules.n.provider: no provider 'x'"):
        drafted({"schedules": {"n": {"provider": "x", "every": "PT15M"}}})


@pytest.mark.parametrize("providers", [5, None, [], "lincoln"])
def test_providers_that_are_no_table_are_a_mistake_like_any_other(providers: Any) -> None:
    """Not an error of the program, which would end `sisgate up` when the file is saved."""
    with pytest.raises(ConfigurationError) as caught:
        drafted({"providers": providers, "apps": {"x": {"weight": -1}}})
    assert any("providers: " in problem for problem in caught.value.problems)
    assert any("apps.x.weight" in problem for problem in caught.value.problems)


def test_a_null_is_refused() -> None:
    """By JSON over HTTP; TOML has none, so that such a version could not be shown as a file."""
    endpoints = [{"url": "https://sis.test"}]
    table = {"kind": "skyward", "endpoints": endpoints, "pool": None}
    with pytest.raises(ConfigurationError, match=r"providers\.a\.pool: has no value \(null\)"):
        drafted({"providers": {"a": table}})


@pytest.mark.parametrize("options", [{"password": ["s"]}, {"login": {"password": "s"}}])
def test_secrets_within_options_are_refused(options: dict[str, Any]) -> None:
    """However deep they stand."""
    endpoints = [{"url": "https://sis.test"}]
    rotation = {"options": options}
    table = {"kind": "skyward", "endpoints": endpoints, "rotation": rotation}
    with pytest.raises(ConfigurationError, match="password: looks like a secret"):
        drafted({"providers": {"a": table}})


def test_a_process_that_does_not_understand_the_retention_deletes_nothing() -> None:
    """Newer code may have a setting more; the defaults would delete what the others keep."""
    read = FleetConfiguration.read(3, {"retention": {"jobs": "keep", "letters": "P1D"}})
    assert read.problems == ("version 3: retention.letters: is not a setting",)
    assert set(read.retention.model_dump().values()) == {None}
