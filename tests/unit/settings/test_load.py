"""The configuration is read once, and every mistake in it is told at once with its place."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from sisgate.errors import ConfigurationError
from sisgate.settings import Settings, load_settings
from sisgate.settings.load import STACK_CONFIG_NAME

MISTAKES = """\
colour = "red"
response_max_bytes = 5
[providers.one]
kind = "abacus"
endpoints = [{url = "https://sis.test"}]
[providers.two]
kind = "powerschool"
limit = "many"
page_size = 0
speed = 3
[[providers.two.endpoints]]
url = "sis.test"
weight = 0
[providers.Three]
kind = "skyward"
endpoints = [{url = "https://sis.test"}]
"""
URL = 'endpoints = [{url = "https://sis.test"}]'


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("CONFIG", "DATA_DIR", "BROKER_URL", "DATABASE_URL", "MASTER_KEY_FILE", "APP"):
        monkeypatch.delenv(f"SISGATE_{name}", raising=False)
    monkeypatch.chdir(tmp_path)


def load(tmp_path: Path, text: str) -> Settings:
    """Read a configuration of this text."""
    path = tmp_path / "my.toml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, data_dir=tmp_path)


def problems(tmp_path: Path, text: str) -> list[str]:
    """Return the mistakes that a text has."""
    with pytest.raises(ConfigurationError) as wrong:
        load(tmp_path, text)
    return wrong.value.problems


def test_every_mistake_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    """Of all providers and settings, not only the first one."""
    found = problems(tmp_path, MISTAKES)
    places = {problem.split(" ")[0] for problem in found}
    expected = {1, 2, 4, 8, 9, 10, 12, 13, 14}
    assert {f"my.toml:{line}:" for line in expected} <= places, found


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        (f'[provider.a]\nkind = "skyward"\n{URL}\n', "providers"),
        (f'[providers.a]\nkind = "skyward"\nlimmit = "9/h"\n{URL}\n', "limit"),
        (f'[providers.a]\nkind = "skyward"\n{URL}\nbreaker = {{fail_mx = 3}}\n', "fail_max"),
        ('[providers.a]\nkind = "skyward"\nendpoints = [{urls = "https://x.test"}]\n', "url"),
        ('[schedules.night]\nprovder = "a"\n', "provider"),
    ],
)
def test_the_nearest_setting_is_suggested(tmp_path: Path, text: str, nearest: str) -> None:
    """At the top, in a provider and in tables below it, whose names the user may have chosen."""
    found = problems(tmp_path, text)
    assert any(f"is not a setting. Did you mean {nearest!r}?" in each for each in found), found


@pytest.mark.parametrize("name", ["sisgate", "Big", "9lives", "a b", "a" * 64, '"a.b"', '""'])
def test_a_name_that_cannot_be_a_queue_is_refused(tmp_path: Path, name: str) -> None:
    """Reserved, too long or of other letters."""
    key = name if name.startswith('"') or name.isalnum() else f'"{name}"'
    (problem,) = problems(tmp_path, f'[providers.{key}]\nkind = "powerschool"\n{URL}\n')
    assert "a name has" in problem


@pytest.mark.parametrize(
    "line",
    ['endpoints = [{url = "http://sis.test"}]', f'{URL}\ntoken_url = "http://sis.test/token"'],
)
def test_plain_http_is_refused_unless_allowed(tmp_path: Path, line: str) -> None:
    """The message says why, and what allows it."""
    text = f'[providers.one]\nkind = "powerschool"\n{line}\n'
    (problem,) = problems(tmp_path, text)
    assert "not encrypted" in problem
    assert "allow_insecure" in problem
    assert load(tmp_path, f"{text}\nallow_insecure = true\n").providers["one"].allow_insecure


def test_a_password_in_a_url_is_refused_and_not_repeated(tmp_path: Path) -> None:
    """Keys never stand in this file."""
    text = '[providers.one]\nkind = "skyward"\nendpoints = [{url = "https://u:swordfish@x.test"}]\n'
    found = problems(tmp_path, text)
    problem = " ".join(found)
    assert "keys add" in problem
    assert len(found) == 1, found
    assert "swordfish" not in problem


@pytest.mark.parametrize(
    ("kind", "limit"),
    [("powerschool", "1000/h"), ("infinite_campus", "500/h"), ("skyward", "2000/h")],
)
def test_each_kind_has_its_usual_limit(tmp_path: Path, kind: str, limit: str) -> None:
    """Unless the file says otherwise, or turns it off."""
    text = f'[providers.one]\nkind = "{kind}"\n{URL}\n'
    assert [str(w) for w in load(tmp_path, text).providers["one"].windows] == [limit]
    two = load(tmp_path, f'{text}limit = ["5/s", "60/h"]\n').providers["one"]
    assert [str(w) for w in two.windows] == ["5/s", "60/h"]
    assert load(tmp_path, f'{text}limit = "off"\n').providers["one"].windows == ()


def test_a_oneroster_server_needs_its_token_url(tmp_path: Path) -> None:
    """No usual place for it exists; without tokens none is needed."""
    text = f'[providers.one]\nkind = "oneroster"\n{URL}\n'
    (problem,) = problems(tmp_path, text)
    assert "token_url" in problem
    assert load(tmp_path, f'{text}auth = "oauth1"\n').providers["one"].token_endpoint is None


def test_urls_may_come_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As mounted secrets; psycopg is the driver of a plain PostgreSQL URL; no repr shows them."""
    secret = tmp_path / "url"
    secret.write_text("postgresql://sis:swordfish@db/sis\n", encoding="utf-8")
    monkeypatch.setenv("SISGATE_DATABASE_URL_FILE", str(secret))
    monkeypatch.setenv("SISGATE_BROKER_URL", "redis://:herring@redis/0")
    settings = load(tmp_path, "")
    assert settings.sqlalchemy_url == "postgresql+psycopg://sis:swordfish@db/sis"
    assert "swordfish" not in repr(settings)
    assert "herring" not in repr(settings)


def test_a_secret_file_that_is_missing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its name, beside the other mistakes."""
    monkeypatch.setenv("SISGATE_BROKER_URL_FILE", str(tmp_path / "nowhere"))
    found = problems(tmp_path, "colour = 1\n")
    assert len(found) == 2
    assert any("nowhere" in problem for problem in found)


def test_without_anything_all_is_embedded(tmp_path: Path) -> None:
    """No file, no environment: SQLite, a private Redis, no provider."""
    settings = load_settings(data_dir=tmp_path)
    assert settings.broker_url is None
    assert settings.is_embedded_database
    assert settings.providers == {}


@pytest.mark.parametrize(
    "text", ["[providers", "a = 1\na = 2", "providers = 3", "[providers]\na = 1"]
)
def test_a_file_that_is_no_configuration_is_told(tmp_path: Path, text: str) -> None:
    """Broken TOML and tables of another shape are mistakes like others."""
    assert problems(tmp_path, text)


def test_a_file_that_is_not_text_is_told(tmp_path: Path) -> None:
    """Not a traceback."""
    path = tmp_path / "my.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError):
        load_settings(path)


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    """A typo in SISGATE_CONFIG does not start a gateway without providers."""
    with pytest.raises(ConfigurationError, match=r"no configuration file at .*typo\.toml"):
        load_settings(tmp_path / "typo.toml")


@pytest.mark.parametrize("key", ["data_dir", "config_file"])
def test_where_the_file_is_does_not_stand_in_it(tmp_path: Path, key: str) -> None:
    """It would be read too late."""
    assert problems(tmp_path, f'{key} = "/somewhere"\n')


def test_the_environment_beats_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As everywhere."""
    text = 'app_name = "file"\nbroker_url = "redis://file/0"\n'
    assert load(tmp_path, text).app_name == "file"
    monkeypatch.setenv("SISGATE_APP", "environment")
    monkeypatch.setenv("SISGATE_BROKER_URL", "redis://environment/0")
    settings = load(tmp_path, text)
    assert settings.app_name == "environment"
    assert settings.broker_url is not None
    assert settings.broker_url.get_secret_value() == "redis://environment/0"


def test_flower_and_the_console_learn_of_each_other_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `sisgate up` and the compose file tell them; a link is a web address and no script."""
    monkeypatch.setenv("SISGATE_FLOWER_URL", "http://127.0.0.1:5555/")
    monkeypatch.setenv("SISGATE_CONSOLE_URL", "https://console.example")
    settings = load(tmp_path, "")
    assert settings.flower_url == "http://127.0.0.1:5555"
    assert settings.console_url == "https://console.example"
    monkeypatch.delenv("SISGATE_FLOWER_URL")
    (problem,) = problems(tmp_path, 'flower_url = "javascript:alert(1)"\n')
    assert "begins with http:// or https://" in problem


def test_settings_are_frozen(tmp_path: Path) -> None:
    """What was read once holds."""
    with pytest.raises(ValidationError):
        load(tmp_path, "").app_name = "other"  # type: ignore[misc]


def test_mistakes_come_in_plain_words_in_the_order_of_lines(tmp_path: Path) -> None:
    """Nothing of the words of the library, and a wrongly named table is examined as well."""
    file = tmp_path / "sisgate.toml"
    file.write_text(
        '[providers.B]\nkind = "skyward"\nlimitt = 3\n\n'
        '[providers.b]\nkind = "skyward"\nburst = 0\n'
        '[[providers.b.endpoints]]\nurl = "http://b.example"\n'
    )
    with pytest.raises(ConfigurationError) as caught:
        load_settings(file, data_dir=tmp_path)
    lines = [problem.split(": ")[0] for problem in caught.value.problems]
    assert lines == [f"sisgate.toml:{n}" for n in (1, 1, 3, 7, 8)]
    assert "burst: must be at least 1" in caught.value.problems[3]
    assert "Input should" not in str(caught.value)


def test_a_duration_that_is_too_short_or_long_is_told_in_units(tmp_path: Path) -> None:
    """Not as Python writes it."""
    file = tmp_path / "sisgate.toml"
    file.write_text(
        '[webhooks]\ngive_up_after = "30s"\n[alerts]\nevery = "2h"\n[retention]\nusage = "1m"\n'
    )
    with pytest.raises(ConfigurationError) as caught:
        load_settings(file, data_dir=tmp_path)
    bounds = sorted(each.rpartition(": ")[2] for each in caught.value.problems)
    assert bounds == ["must be at least 1 h", "must be at least 1 min", "must be at most 10 min"]


@pytest.mark.parametrize(
    ("lines", "lease"),
    [
        ('kind = "powerschool"', 100.0),
        ('kind = "powerschool"\ntimeout_seconds = 5', 75.0),
        ('kind = "powerschool"\ntimeout_seconds = 5\nlease_seconds = 45', 45.0),
        ('kind = "oneroster"\nauth = "none"\ntimeout_seconds = 2\nlease_seconds = 3', 3.0),
    ],
)
def test_a_lease_is_the_calls_time_and_a_margin(tmp_path: Path, lines: str, lease: float) -> None:
    """Unless it is configured."""
    settings = load(tmp_path, f"[providers.one]\n{lines}\n{URL}\n")
    assert settings.providers["one"].lease == lease


def test_a_lease_that_a_call_may_outlast_is_refused(tmp_path: Path) -> None:
    """A token may have to be waited for before the call."""
    found = problems(
        tmp_path, f'[providers.one]\nkind = "powerschool"\nlease_seconds = 60\n{URL}\n'
    )
    assert "lease_seconds is at least 70 here" in found[0]


@pytest.mark.parametrize(
    ("health", "is_refused"),
    [
        ("interval_seconds = 14", True),
        ("interval_seconds = 15", False),
        ("interval_seconds = 1, counts = false", False),
    ],
)
def test_health_checks_that_count_leave_most_of_a_limit(
    tmp_path: Path, health: str, is_refused: bool
) -> None:
    """A quarter at most: with 1000/h a check each 14.4 s."""
    text = (
        '[providers.one]\nkind = "powerschool"\nlimit = "1000/h"\n'
        f'health = {{ path = "/health", {health} }}\n{URL}\n'
    )
    if is_refused:
        assert "health.interval_seconds is at least 14.4 here" in problems(tmp_path, text)[0]
    else:
        assert load(tmp_path, text).providers["one"].health is not None


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("database_url", "hello-swordfish"),
        ("database_url", "mysql://me:swordfish@db.test/x"),
        ("database_url", "postgresql+asyncpg://me:swordfish@db.test/x"),
        ("database_url", "postgresql://me:swordfish@db.test:port/x"),
        ("broker_url", "swordfish"),
        ("broker_url", "foo://:swordfish@redis.test"),
        ("broker_url", "redis://:swordfish@redis.test:port/0"),
        ("broker_url", "redis://:swordfish@redis.test/first"),
    ],
)
def test_a_url_that_leads_nowhere_is_told_and_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, url: str
) -> None:
    """With the variable, the file that a variable names, or the line that it stands in."""
    (problem,) = problems(tmp_path, f'{name} = "{url}"\n')
    assert problem.startswith(f"my.toml:1: {name}: write ")
    variable = f"SISGATE_{name.upper()}"
    secret = tmp_path / "url"
    secret.write_text(f"{url}\n")
    for place, value in ((f"{variable}_FILE", str(secret)), (variable, url)):
        monkeypatch.setenv(place, value)
        with pytest.raises(ConfigurationError) as wrong:
            load(tmp_path, "")
        assert f"{place}: write " in str(wrong.value)
        assert "swordfish" not in f"{problem}{wrong.value}"


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("database_url", "postgres://me:p%40ss@db.test:5432/sisgate?sslmode=require"),
        ("database_url", "postgresql+psycopg:///sisgate?host=/run/postgresql"),
        ("database_url", "sqlite:////var/lib/sisgate/ledger.db"),
        ("broker_url", "rediss://me:pass@redis.test:6380/1?ssl_cert_reqs=required"),
        ("broker_url", "redis://redis.test"),
    ],
)
def test_a_url_of_redis_postgresql_or_sqlite_is_taken(tmp_path: Path, name: str, url: str) -> None:
    """As the libraries that connect read them."""
    given = getattr(load(tmp_path, f'{name} = "{url}"\n'), name)
    assert given.get_secret_value() == url


def test_a_value_of_the_environment_that_cannot_be_is_told_by_its_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a traceback, and without the value."""
    monkeypatch.setenv("SISGATE_APP", "x" * 101)
    with pytest.raises(ConfigurationError) as told:
        load_settings()
    assert told.value.problems == ["environment: SISGATE_APP: has at most 100 characters"]


def test_the_configuration_of_a_running_stack_is_found_by_its_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From any folder; a file that lies where the command runs comes first."""
    (tmp_path / "stack").mkdir()
    (tmp_path / "app").mkdir()
    used = tmp_path / "stack" / "sisgate.toml"
    used.write_text("", "utf-8")
    (tmp_path / STACK_CONFIG_NAME).write_text(str(used), "utf-8")
    monkeypatch.chdir(tmp_path / "app")
    assert load_settings(data_dir=tmp_path).config_file == used
    (tmp_path / "app" / "sisgate.toml").write_text("", "utf-8")
    assert load_settings(data_dir=tmp_path).config_file == tmp_path / "app" / "sisgate.toml"


def test_a_configuration_that_has_moved_since_is_no_mistake(tmp_path: Path) -> None:
    """The data folder may outlive it."""
    (tmp_path / STACK_CONFIG_NAME).write_text(str(tmp_path / "gone.toml"), "utf-8")
    assert load_settings(data_dir=tmp_path).config_file is None
