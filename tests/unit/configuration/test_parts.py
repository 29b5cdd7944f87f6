"""The digests of a configuration's parts: what must agree is in them, and nothing else."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from sisgate.configuration import FleetConfiguration
from sisgate.configuration.parts import digests_of_parts
from sisgate.settings import ProviderConfig, Settings
from sisgate.settings.fleet import RetentionConfig


def provider(name: str = "clark", **more: Any) -> ProviderConfig:
    """Return a provider that needs no key."""
    endpoints = [{"url": "https://sis.test"}]
    return ProviderConfig(name=name, kind="oneroster", auth="none", endpoints=endpoints, **more)


HERE = Settings(data_dir=Path("/here"), providers={"clark": provider()})


def differing(change: dict[str, object], version: int = 0) -> set[str]:
    """Return the parts that a change of a process's own settings changes."""
    parts = []
    for settings in (HERE, HERE.model_copy(update=change)):
        fleet = FleetConfiguration.of(settings).model_copy(update={"version": version})
        parts.append(digests_of_parts(settings, fleet))
    before, after = parts
    return {name for name in {*before, *after} if before.get(name) != after.get(name)}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"providers": {"clark": provider(limit="7/h")}}, {"providers.clark"}),
        ({"providers": {"clark": provider(proxy="http://u:p@proxy.test")}}, set()),
        ({"providers": {}}, {"providers.clark"}),
        ({"retention": RetentionConfig(jobs=timedelta(days=9))}, {"retention"}),
        ({"access": "tokens"}, {"access"}),
        ({"broker_scopes": ("clark",)}, {"broker_scopes"}),
        ({"data_dir": Path("/there"), "master_key": SecretStr("k"), "app_name": "b"}, set()),
    ],
)
def test_a_part_is_named_as_its_setting(change: dict[str, object], expected: set[str]) -> None:
    """What a machine adds, and where things are, does not count."""
    assert differing(change) == expected


def test_a_process_that_follows_a_version_tells_only_what_no_version_holds() -> None:
    """Its file is ignored."""
    change = {"access": "tokens", "providers": {}, "retention": RetentionConfig(jobs=None)}
    assert differing(change, version=3) == {"access"}


def test_thousands_of_providers_are_one_part() -> None:
    """Heartbeats come every five seconds."""
    many = {f"p{number}": provider(f"p{number}") for number in range(101)}
    changed = many | {"p7": provider("p7", limit="7/h")}
    settings = HERE.model_copy(update={"providers": many})
    parts = digests_of_parts(settings, FleetConfiguration.of(settings))
    assert [name for name in parts if name.startswith("providers")] == ["providers"]
    other = HERE.model_copy(update={"providers": changed})
    assert digests_of_parts(other, FleetConfiguration.of(other))["providers"] != parts["providers"]
