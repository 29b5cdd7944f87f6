"""Which server program is used."""

import importlib.util
from pathlib import Path

import pytest

from sisgate.embedded.redis_binary import ServerVersion, find_redis_server
from sisgate.errors import ConfigurationError


def program(folder: Path, version: str) -> Path:
    """Make a redis-server that knows its version and nothing else."""
    found = folder / "redis-server"
    found.write_text(f"#!/bin/sh\necho '{version}'\n")
    found.chmod(0o755)
    return found


def test_program_on_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who installed a Redis wants that one."""
    installed = program(tmp_path, "Redis server v=7.0.15 sha=0:0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_redis_server() == installed


@pytest.mark.parametrize("version", ["Redis server v=6.2.14 sha=0:0", "no version"])
def test_program_with_known_faults_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """The wheel's server is newer."""
    old = program(tmp_path, version)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_redis_server().name == "valkey-server"
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert find_redis_server() == old


def test_without_any_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither on PATH nor in a wheel."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ConfigurationError, match="apt-get install redis-server"):
        find_redis_server()


@pytest.mark.parametrize(
    ("name", "number", "sound"),
    [
        ("Redis", (6, 0, 16), False),
        ("Redis", (6, 2, 19), False),
        ("Redis", (6, 2, 20), True),
        ("Redis", (7, 0, 11), False),
        ("Redis", (7, 0, 15), True),
        ("Redis", (7, 4, 0), False),
        ("Redis", (8, 1, 9), False),
        ("Redis", (8, 4, 0), True),
        ("Valkey", (7, 2, 10), False),
        ("Valkey", (8, 1, 4), True),
        ("Valkey", (9, 0, 0), True),
    ],
)
def test_a_version_is_judged_by_its_series(
    name: str, number: tuple[int, int, int], *, sound: bool
) -> None:
    """A fix comes to each series that is kept, under a number of its own."""
    assert (ServerVersion(name, number).fault is None) is sound
