"""The programs of `sisgate up` find the files that were named where it was started."""

from pathlib import Path

import pytest

from sisgate.settings import Settings, load_settings
from sisgate.stack.programs import child_environment, variables


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that commands are given in, which is not that of the configuration."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_a_relative_path_of_the_environment_is_of_the_folder_it_was_given_in(
    tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Children run in the data folder."""
    given = {
        "SISGATE_MASTER_KEY_FILE": "m.key",
        "SISGATE_TOKEN_FILE": "token",
        "SISGATE_BROKER_CA_FILE": "ca.pem",
        "HOME": "/h",
    }
    (elsewhere / "token").write_text("sis_x")
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = load_settings(data_dir=tmp_path)
    assert settings.master_key_path == elsewhere / "m.key"
    made = child_environment(settings, given, "redis://redis.test/0")
    assert made["SISGATE_MASTER_KEY_FILE"] == str(elsewhere / "m.key")
    assert made["SISGATE_TOKEN_FILE"] == str(elsewhere / "token")
    assert made["SISGATE_BROKER_CA_FILE"] == str(elsewhere / "ca.pem")
    assert made["HOME"] == "/h"


@pytest.mark.usefixtures("elsewhere")
def test_a_relative_path_of_the_configuration_is_of_its_folder(tmp_path: Path) -> None:
    """Another app, in whatever folder, is led to the same files."""
    config = tmp_path / "sisgate.toml"
    config.write_text(
        'broker_url = "redis://redis.test/0"\n'
        'master_key_file = "m.key"\naudit_key_file = "a.key"\naudit_heads_file = "heads"\n'
    )
    settings = load_settings(config, data_dir=tmp_path / "data")
    assert settings.audit_heads_path == tmp_path / "heads"
    found = variables(settings, "redis://redis.test/0")
    assert found["SISGATE_MASTER_KEY_FILE"] == str(tmp_path / "m.key")
    assert found["SISGATE_AUDIT_KEY_FILE"] == str(tmp_path / "a.key")


def test_servers_that_the_settings_leave_aside_are_not_inherited(tmp_path: Path) -> None:
    """The demo has its own Redis, ledger and master key, whatever the environment names."""
    given = {
        "SISGATE_BROKER_URL_FILE": "/run/secrets/broker",
        "SISGATE_DATABASE_URL": "postgresql://db.test/x",
        "SISGATE_MASTER_KEY": "secret",
        "SISGATE_MASTER_KEY_FILE": "/run/secrets/master",
    }
    made = child_environment(Settings(data_dir=tmp_path), given, "redis://redis.test/0")
    assert not set(given) & set(made)
    assert made["SISGATE_BROKER_URL"] == "redis://redis.test/0"
