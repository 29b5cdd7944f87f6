"""An installation in the working directory, where commands find it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sisgate.cli.main import execute

InstallHere = Callable[[str], None]


@pytest.fixture
def install_here(tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> InstallHere:
    """Make the working directory an installation of a configuration, with a file `secret`."""

    def install(configuration: str) -> None:
        (tmp_path / "sisgate.toml").write_text(configuration, encoding="utf-8")
        (tmp_path / "secret").write_text("s3cret", encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("SISGATE_DATA_DIR", str(tmp_path))
        monkeypatch.setenv("SISGATE_BROKER_URL", redis_url)
        monkeypatch.setenv("COLUMNS", "80")
        execute(["keys", "master"])
        execute(["db", "upgrade"])

    return install
