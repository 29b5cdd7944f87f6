"""What a message says about extras is what pyproject.toml says."""

import importlib.util
import re
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from sisgate import start_up
from sisgate.errors import ConfigurationError

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
DECLARED = PROJECT["project"]["optional-dependencies"]


def normal(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("extra", start_up.EXTRAS)
def test_each_module_comes_with_its_extra(extra: str) -> None:
    """By the metadata of what is installed here."""
    names = {normal(re.split(r"[^\w.-]", line)[0]) for line in DECLARED[extra]}
    brought = packages_distributions()
    for module in start_up.EXTRAS[extra]:
        assert names & {normal(name) for name in brought[module]}, module


def test_a_missing_extra_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the ones that are there are not."""
    start_up.require_extras("sisgate up", "cli", "worker")
    real = importlib.util.find_spec
    monkeypatch.setattr(
        start_up, "find_spec", lambda name: None if name == "flower" else real(name)
    )
    with pytest.raises(ConfigurationError, match=r"pip install 'sisgate\[worker\]'"):
        start_up.require_extras("sisgate up", "cli", "worker")
