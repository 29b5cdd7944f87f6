"""Files as Windows editors save them are read; what cannot be read is named, not its content."""

from pathlib import Path

import pytest

from sisgate.cli.params import entered_secret
from sisgate.credentials.master import make_master_key, master_keys
from sisgate.errors import ConfigurationError
from sisgate.settings import Settings, load_settings

FORMS = {
    "mark": lambda text: text.encode("utf-8-sig"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16 BE": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
    "UTF-32": lambda text: text.encode("utf-32"),
    "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "mark and CRLF": lambda text: text.replace("\n", "\r\n").encode("utf-8-sig"),
}
forms = pytest.mark.parametrize("form", FORMS)


@forms
def test_a_configuration_is_read_in_any_form(tmp_path: Path, form: str) -> None:
    """With its lines where they stand."""
    config = tmp_path / "sisgate.toml"
    config.write_bytes(FORMS[form]('# Zoë\nflower_url = "http://x"\nnonsense = 1\n'))
    with pytest.raises(ConfigurationError) as wrong:
        load_settings(config)
    assert wrong.value.problems == ["sisgate.toml:3: nonsense: is not a setting"]


@forms
def test_a_url_in_a_file_is_read_in_any_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """The mark would be a part of the scheme, the end of the line one of the database's name."""
    file = tmp_path / "url"
    file.write_bytes(FORMS[form]("redis://:swordfish@redis.test/0\n"))
    monkeypatch.setenv("SISGATE_BROKER_URL_FILE", str(file))
    url = load_settings(data_dir=tmp_path).broker_url
    assert url is not None
    assert url.get_secret_value() == "redis://:swordfish@redis.test/0"


def test_a_url_of_an_env_file_with_line_ends_of_windows_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docker-compose leaves the carriage return in the value."""
    monkeypatch.setenv("SISGATE_BROKER_URL", "redis://redis.test/0\r")
    url = load_settings(data_dir=tmp_path).broker_url
    assert url is not None
    assert url.get_secret_value() == "redis://redis.test/0"


@forms
def test_a_master_key_is_read_in_any_form(tmp_path: Path, form: str) -> None:
    """It is the same key."""
    settings = Settings(data_dir=tmp_path)
    make_master_key(settings.master_key_path)
    (key,) = master_keys(settings)
    text = settings.master_key_path.read_text("ascii")
    settings.master_key_path.write_bytes(FORMS[form](text))
    assert [again.id for again in master_keys(settings)] == [key.id]


@pytest.mark.parametrize("content", ["swordfish".encode("utf-16-le"), b"swordfish\n\xff\xfe\xe9"])
def test_another_encoding_is_named_and_its_content_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    """With the file and what to do."""
    file = tmp_path / "url"
    file.write_bytes(content)
    monkeypatch.setenv("SISGATE_BROKER_URL_FILE", str(file))
    config = tmp_path / "sisgate.toml"
    config.write_bytes(content)
    with pytest.raises(ConfigurationError) as wrong:
        load_settings(config, data_dir=tmp_path)
    assert len(wrong.value.problems) == 2
    assert all("save it as UTF-8" in problem for problem in wrong.value.problems)
    assert "swordfish" not in str(wrong.value)


@forms
def test_a_providers_secret_is_read_in_any_form(tmp_path: Path, form: str) -> None:
    """A mark would make it another secret, which the provider refuses."""
    file = tmp_path / "secret"
    file.write_bytes(FORMS[form]("sword fish\n"))
    assert entered_secret(file, None).get_secret_value() == "sword fish"
