"""What `sisgate up` says comes next."""

from pathlib import Path

import pytest

from sisgate.cli.commands.up import next_steps
from sisgate.settings import load_settings

PROVIDER = """
[providers.lincoln]
kind = "powerschool"
[[providers.lincoln.endpoints]]
url = "https://sis.test"
"""


@pytest.mark.parametrize("access", ["open", "tokens"])
@pytest.mark.parametrize("stored", [False, True])
def test_only_what_is_missing_comes_next(tmp_path: Path, access: str, stored: bool) -> None:
    """A key where none is stored, and a token where it is needed."""
    file = tmp_path / "sisgate.toml"
    file.write_text(f'access = "{access}"\n{PROVIDER}')
    settings = load_settings(file, data_dir=tmp_path)
    steps = dict(next_steps(settings, settings.providers, "sisgate", lambda _: stored))
    assert steps["enqueue"] == "sisgate sync lincoln students --wait"
    assert ("keys" in steps) is not stored
    assert ("token" in steps) is (access == "tokens")
