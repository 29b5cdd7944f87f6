"""sisgate.example.toml is valid as it is, and with every comment taken away."""

import re
from pathlib import Path

from sisgate.settings import ProviderConfig, Settings, load_settings
from sisgate.settings.files import sample_file

SAMPLE = Path(__file__).parents[3] / "sisgate.example.toml"
OPTION = re.compile(
    r"^# (?=\[apps|\[schedules|\[retention|\[web|\[objectives|\[alerts|\[calendars|\w+ = )",
    re.MULTILINE,
)
NOT_FOR_THE_FILE = {"config_file", "data_dir", "app_name", "name", "school_year", "master_key"}


def test_messages_name_the_sample_where_it_is() -> None:
    """Here that of the checkout."""
    assert sample_file() == SAMPLE


def test_the_sample_has_one_provider_of_each_usual_kind() -> None:
    """The same that docker-compose.yml has workers for."""
    assert set(load_settings(SAMPLE).providers) == {"powerschool", "infinite_campus", "skyward"}


def test_every_option_it_shows_is_accepted(tmp_path: Path) -> None:
    """Nobody is sent into an error by taking a comment away."""
    file = tmp_path / "sisgate.toml"
    file.write_text(OPTION.sub("", SAMPLE.read_text("utf-8")), encoding="utf-8")
    settings = load_settings(file)
    assert settings.broker_url is not None
    assert settings.providers["powerschool"].burst == 100
    assert settings.apps["gradebook"].weight == 2.0
    assert settings.schedules["nightly"].zone == "America/Chicago"


def test_every_setting_is_shown() -> None:
    """A new setting is added here too."""
    text = SAMPLE.read_text("utf-8")
    wanted = (set(Settings.model_fields) | set(ProviderConfig.model_fields)) - NOT_FOR_THE_FILE
    assert [name for name in sorted(wanted) if not re.search(rf"\b{name}\b", text)] == []
