"""URLs of endpoints may hold the path of their API, as vendors hand them out."""

from typing import Any

import pytest
from pydantic import ValidationError

from sisgate.settings import ProviderConfig

TOKENS = "https://sis.test/token"


def provider(kind: str, *urls: str, **more: Any) -> ProviderConfig:
    """A provider with these endpoints."""
    endpoints = [{"url": url} for url in urls]
    return ProviderConfig(name="x", kind=kind, endpoints=endpoints, token_url=TOKENS, **more)


@pytest.mark.parametrize(
    ("kind", "url", "path", "version"),
    [
        ("oneroster", "https://sis.test/ims/oneroster/v1p1", "/ims/oneroster/v1p1", "1.1"),
        ("oneroster", "https://sis.test/ims/oneroster/rostering/v1p2/",
         "/ims/oneroster/rostering/v1p2", "1.2"),
        ("oneroster", "https://sis.test/a/b/ims/oneroster/v1p1", "/a/b/ims/oneroster/v1p1", "1.1"),
        ("infinite_campus",
         "https://sis.test/campus/api/oneroster/v1p2/oak/ims/oneroster/rostering/v1p2",
         "/campus/api/oneroster/v1p2/oak/ims/oneroster/rostering/v1p2", "1.2"),
    ],
)  # fmt: skip
def test_the_path_of_a_whole_url_is_asked_once(
    kind: str, url: str, path: str, version: str
) -> None:
    """And not twice, as one appended to the other."""
    config = provider(kind, url)
    assert [each.url for each in config.endpoints] == ["https://sis.test"]
    assert config.base_path == path
    assert config.dialect.version == version  # type: ignore[attr-defined]  # of OneRoster


def test_a_path_that_both_say_is_fine_and_another_one_a_mistake() -> None:
    """Which is right only the vendor knows."""
    url = "https://sis.test/ims/oneroster/v1p1"
    assert provider("oneroster", url, base_path="/ims/oneroster/v1p1").endpoints[0].url == (
        "https://sis.test"
    )
    with pytest.raises(ValidationError, match="base_path is /ims/oneroster/v1p2"):
        provider("oneroster", url, base_path="/ims/oneroster/v1p2")
    with pytest.raises(ValidationError, match="not all the same one"):
        provider("oneroster", url, "https://b.test")


def test_other_paths_in_front_stay() -> None:
    """A proxy may have one."""
    assert provider("oneroster", "https://proxy.test/sis").endpoints[0].url == (
        "https://proxy.test/sis"
    )


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://sis.test?school=5", "without [?] and #"),
        ("https://sis.test/ims/oneroster/v1p1#top", "without [?] and #"),
        ("https://sis.test:99999", "the port is not a number"),
        ("https://me:perch/trout", "the port is not a number"),
        ("https://me:perch@sis.test", "must not carry a user name"),
        ("https://me:perch/trout@sis.test", "must not carry a user name"),
    ],
)
def test_what_a_path_cannot_be_put_behind_is_refused(url: str, words: str) -> None:
    """The path would become part of the query. Of a password no part is repeated."""
    with pytest.raises(ValidationError, match=words) as refused:
        provider("oneroster", url)
    told = refused.value.errors(include_input=False, include_url=False)
    assert "perch" not in str(told)


@pytest.mark.parametrize("end", ["", "/", "/ws", "/ws/v1", "/ws/v1/", "/ws/schema/query"])
def test_powerschool_is_asked_below_its_root(end: str) -> None:
    """Its paths begin with /ws themselves."""
    assert provider("powerschool", f"https://ps.test{end}").endpoints[0].url == "https://ps.test"
