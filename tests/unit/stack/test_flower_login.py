"""The login of Flower."""

import stat
from pathlib import Path

import pytest

from sisgate.settings import Settings
from sisgate.stack.flower_login import login_file
from workers.flower.command import login_of


def test_a_password_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    """The next start finds the same."""
    file = login_file(Settings(data_dir=tmp_path))
    user, _, password = login_of(file).partition(":")
    assert (user, len(password) >= 20) == ("sisgate", True)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_text()
    assert login_file(Settings(data_dir=tmp_path)).read_text() == before


def test_a_file_of_the_settings_is_taken_as_it_is(tmp_path: Path) -> None:
    """A mounted secret, for example; nothing is made beside it."""
    secret = tmp_path / "secret"
    secret.write_text("ops:words\n")
    settings = Settings(data_dir=tmp_path / "data", flower_password_file=secret)
    assert login_of(login_file(settings)) == "ops:words"
    assert not settings.data_dir.exists()


@pytest.mark.parametrize("text", ["", "ops", "ops:", ":words"])
def test_half_a_login_opens_nothing(text: str, tmp_path: Path) -> None:
    """Flower would take an empty one for none at all."""
    file = tmp_path / "secret"
    file.write_text(text)
    with pytest.raises(SystemExit, match="must hold USER:PASSWORD"):
        login_of(file)
