"""Where new keys come from: programs, plug-ins, and what they may do wrong."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from examples.powerschool_key_source import TwoPlugins

from sisgate.credentials import sources
from sisgate.credentials.keys import Credential, NewKey
from sisgate.credentials.sandbox_source import SandboxSource
from sisgate.credentials.sources import CommandSource, KeyRequest, source_of
from sisgate.domain.secret import Secret
from sisgate.errors import ConfigurationError, KeySourceFailed
from sisgate.settings import Endpoint, ProviderConfig


def config(**rotation: Any) -> ProviderConfig:
    """A provider that is rotated like this."""
    return ProviderConfig.model_validate(
        {
            "name": "lincoln",
            "kind": "powerschool",
            "endpoints": [Endpoint(url="https://lincoln.example")],
            "rotation": rotation,
        }
    )


def request(current: str | None = "41") -> KeyRequest:
    """A request for its primary slot."""
    key = Credential("k", "lincoln", current, Secret("old")) if current else None
    return KeyRequest("order-1", config(), "primary", key, 10.0)


def program(code: str) -> CommandSource:
    """The source command, with a Python program."""
    return CommandSource({"command": [sys.executable, "-c", code]})


def test_a_command_gets_the_order_and_gives_the_key() -> None:
    """As JSON; the current secret is not in it."""
    code = (
        "import json, sys; o = json.load(sys.stdin); print(json.dumps({"
        "'client_id': ':'.join([o['act'], o['order'], o['provider'], o['slot'], o['client_id']]),"
        "'client_secret': 'new' if 'old' not in str(o) else 'leaked',"
        "'expires_at': '2027-01-01T00:00:00+00:00'}))"
    )
    key = program(code).provision(request())
    assert key.client_id == "order:order-1:lincoln:primary:41"
    assert key.secret == Secret("new")
    assert key.expires_at is not None
    assert key.expires_at.year == 2027


@pytest.mark.parametrize(
    "code",
    [
        "raise SystemExit('swordfish')",
        "print('swordfish')",
        'print(\'{"client_id": "swordfish"}\')',
        'print(\'{"client_id": "swordfish", "client_secret": ""}\')',
        'print(\'{"client_id": 1, "client_secret": "swordfish"}\')',
        'print(\'{"client_id":"a","client_secret":"swordfish","expires_at":"2027-01-01"}\')',
        "print('[\"swordfish\"]')",
    ],
)
def test_a_command_that_fails_is_told_without_its_output(code: str) -> None:
    """Nobody knows what that holds."""
    with pytest.raises(KeySourceFailed) as failed:
        program(code).provision(request())
    assert "swordfish" not in str(failed.value)


def test_sources_are_found_by_name() -> None:
    """One that is not installed is a mistake of the configuration, and so are wrong options."""
    assert isinstance(source_of(config(source="sandbox")), SandboxSource)
    with pytest.raises(ConfigurationError, match=r"no such key source.*command"):
        source_of(config(source="elsewhere"))
    with pytest.raises(ConfigurationError, match="needs its program"):
        source_of(config(source="command"))


class Former:
    """A source of the version before, with its names."""

    def __init__(self) -> None:
        self.taken_back: list[str] = []

    def order(self, order: KeyRequest) -> NewKey:
        return NewKey(f"new-{order.id}", Secret("s"))

    def take_back(self, _order: KeyRequest, client_id: str) -> None:
        """Note which key was handed back."""
        self.taken_back.append(client_id)


def test_a_source_with_the_former_names_still_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """For one version, with a warning."""
    former = Former()
    point = SimpleNamespace(name="former", load=lambda: lambda _options: former)
    monkeypatch.setattr(sources, "entry_points", lambda group: [point])  # noqa: ARG005
    with pytest.warns(DeprecationWarning, match=r"Former\.order .* is now Former\.provision"):
        source = source_of(config(source="former"))
    assert source.provision(request()).client_id == "new-order-1"
    source.deprovision(request(), "41")
    assert former.taken_back == ["41"]


def test_the_former_name_of_a_request_still_works() -> None:
    """For one version, with a warning."""
    with pytest.warns(DeprecationWarning, match=r"sources\.Order is now sources\.KeyRequest"):
        assert getattr(sources, "Order") is KeyRequest  # noqa: B009 - unknown to a type checker


def test_the_powerschool_example_goes_over_to_the_idle_plugin_and_back(tmp_path: Path) -> None:
    """Id and secret change together, so the pair in use is never touched."""
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    source = TwoPlugins({"files": [str(file) for file in files]})

    def write(file: Path, client_id: str) -> None:
        file.write_text(json.dumps({"client_id": client_id, "client_secret": "s"}), "utf-8")

    with pytest.raises(KeySourceFailed, match="regenerate"):
        source.provision(request(None))
    write(files[0], "a1")
    assert source.provision(request(None)).client_id == "a1"
    with pytest.raises(KeySourceFailed, match="regenerate"):
        source.provision(request("a1"))
    write(files[1], "b1")
    assert source.provision(request("a1")).client_id == "b1"
    assert source.provision(request("a1")).client_id == "b1"
    source.deprovision(request("b1"), "a1")
    source.deprovision(request("b1"), "a1")
    assert not files[0].exists()
    write(files[0], "a2")
    assert source.provision(request("b1")).client_id == "a2"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"interval": "P1D", "overlap": "P2D"}, "overlap is shorter than interval"),
        ({"overlap": 5}, "at least timeout_seconds"),
        ({"canary_path": "//elsewhere"}, "stays below the provider's base path"),
        ({"source": "No Such Name"}, "pattern"),
    ],
)
def test_wrong_settings_are_refused(words: dict[str, Any], said: str) -> None:
    """When the configuration is read."""
    with pytest.raises(ValueError, match=said):
        config(**words)
