"""Reading the configuration: one TOML file and a few environment variables."""

import os
import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from sisgate.errors import ConfigurationError
from sisgate.settings.files import read_text, state_of
from sisgate.settings.fleet import FleetSettings, mistakes
from sisgate.settings.model import Settings
from sisgate.settings.problems import ConfigSource, in_file_order, nearest, plain_message
from sisgate.settings.provider_urls import network_defaults
from sisgate.settings.tables import read_providers, relative_to
from sisgate.settings.urls import URL_PROBLEMS, unencoded, with_tls_files

DEFAULT_CONFIG_NAME = "sisgate.toml"

STACK_CONFIG_NAME = "configuration-file.txt"
"""In the data folder: the path of the file that `sisgate up` last used there."""

NOT_IN_FILE = {"data_dir", "config_file", "token", "master_key"}
"""Settings that locate the file, and secrets, which do not belong in a shared file."""

KEY_FILES = ("master_key_file", "audit_key_file", "audit_heads_file", "flower_password_file")
"""Files that every process of a host must find, whatever its working folder."""

BROKER_TLS_FILES = {
    "broker_ca_file": "ssl_ca_certs",
    "broker_client_cert": "ssl_certfile",
    "broker_client_key": "ssl_keyfile",
}
"""The settings for TLS to Redis, and redis-py's names for them in a URL."""


class Environment(BaseSettings):
    """The environment variables, all prefixed `SISGATE_`.

    `SISGATE_BROKER_URL_FILE`, `SISGATE_DATABASE_URL_FILE` and `SISGATE_TOKEN_FILE` name files that
    hold the value, so that a password or token can be a mounted secret.
    """

    model_config = SettingsConfigDict(env_prefix="SISGATE_", env_ignore_empty=True)

    config: Path | None = None
    data_dir: Path | None = None
    broker_url: SecretStr | None = None
    broker_url_file: Path | None = None
    database_url: SecretStr | None = None
    database_url_file: Path | None = None
    master_key_file: Path | None = None
    master_key: SecretStr | None = None
    audit_key_file: Path | None = None
    app: str | None = Field(default=None, max_length=100)
    traces: Literal["off", "otlp"] | None = None
    log_format: Literal["auto", "json", "pretty"] | None = None
    log_level: Literal["debug", "info", "warning", "error"] | None = None
    token: SecretStr | None = None
    token_file: Path | None = None
    broker_ca_file: Path | None = None
    broker_client_cert: Path | None = None
    broker_client_key: Path | None = None
    flower_url: str | None = None
    flower_password_file: Path | None = None
    console_url: str | None = None


def load_settings(
    config: Path | None = None, *, data_dir: Path | None = None, with_fleet: bool = True
) -> Settings:
    """Read file and environment and return the frozen settings.

    The file is `config`, else `SISGATE_CONFIG`, else `sisgate.toml` in the current folder, else the
    one in the data folder, else the one that `sisgate up` last used there; without any, no provider
    is configured. Raises one `ConfigurationError` with every mistake and its place. What the fleet
    shares, such as the providers, is left out if not `with_fleet`.
    """
    env = _environment()
    folder = (data_dir or env.data_dir or default_data_dir()).expanduser().absolute()
    path = _config_path(config or env.config, folder)
    problems: list[str] = []
    source, values = _read_file(path, problems, with_fleet=with_fleet)
    # The environment overrides the file.
    from_environment = {
        "master_key_file": env.master_key_file and env.master_key_file.absolute(),
        "master_key": env.master_key,
        "audit_key_file": env.audit_key_file and env.audit_key_file.absolute(),
        "app_name": env.app,
        "flower_url": env.flower_url,
        "flower_password_file": env.flower_password_file and env.flower_password_file.absolute(),
        "console_url": env.console_url,
        "traces": env.traces,
        "log_format": env.log_format,
        "log_level": env.log_level,
        "token": _secret(env.token, env.token_file, "SISGATE_TOKEN_FILE", problems),
        "broker_url": _secret(
            env.broker_url, env.broker_url_file, "SISGATE_BROKER_URL_FILE", problems
        ),
        "database_url": _secret(
            env.database_url, env.database_url_file, "SISGATE_DATABASE_URL_FILE", problems
        ),
    }
    values |= {name: value for name, value in from_environment.items() if value is not None}
    tls_files = {
        name: file.absolute() if (file := getattr(env, name)) else values.get(name)
        for name in BROKER_TLS_FILES
    }
    values |= {name: file for name, file in tls_files.items() if file is not None}
    _add_tls_files(values, path)
    for name, problem_of in URL_PROBLEMS.items():
        value = values.get(name)
        url = value.get_secret_value() if isinstance(value, SecretStr) else value
        if isinstance(url, str) and (what := problem_of(url)):
            problems.append(_url_problem(name, env, source, what))
    values |= {"data_dir": folder, "config_file": path}
    try:
        # Validated even if there are problems already, so that all are shown.
        settings = Settings(**{k: v for k, v in values.items() if k in Settings.model_fields})
    except ValidationError as error:
        problems += source.problems(error, Settings)
    else:
        if not problems:
            wrong = mistakes(settings)
            problems = [source.problem(place, what) for place, what in wrong]
        if not problems:
            return settings.read_from(values.get("tables", {}), values.get("file_state"))
    raise ConfigurationError(
        f"The configuration has {len(problems)} mistake{'s' if len(problems) > 1 else ''}:",
        problems=in_file_order(problems),
    )


def _add_tls_files(values: dict[str, Any], path: Path | None) -> None:
    """Put the files for TLS to Redis into its URL, which every client and child process gets."""
    value = values.get("broker_url")
    url = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(url, str) or unencoded(url):
        return
    files = {
        option: relative_to(path, values.get(name)) for name, option in BROKER_TLS_FILES.items()
    }
    values["broker_url"] = SecretStr(with_tls_files(url, files))


def _environment() -> Environment:
    try:
        return Environment()
    except ValidationError as error:
        items = error.errors(include_url=False, include_input=False)
        raise ConfigurationError(
            "The environment has invalid values:",
            problems=[
                f"environment: SISGATE_{str(item['loc'][0]).upper()}: "
                f"{plain_message(item['type'], item['msg'], item.get('ctx', {}))}"
                for item in items
            ],
        ) from None


def default_data_dir() -> Path:
    """Return `$XDG_DATA_HOME/sisgate`, usually `~/.local/share/sisgate`."""
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "sisgate"


def process_environment() -> dict[str, str]:
    """Return a copy of this process's environment, for the processes it starts."""
    return dict(os.environ)


def network_of_this_machine() -> tuple[dict[str, Any], list[str]]:
    """Return what this machine adds to every provider (proxy, CA file), and its problems."""
    return network_defaults(os.environ)


def read_secret_variable(name: str) -> str | None:
    """Return the value of an environment variable that the user chose for a secret."""
    return os.environ.get(name)


def _config_path(named: Path | None, data_dir: Path) -> Path | None:
    if named is not None:
        if not named.is_file():
            raise ConfigurationError(
                f"There is no configuration file at {named}. "
                "Correct --config or SISGATE_CONFIG, or create the file."
            )
        return named.absolute()
    return next((path for path in config_candidates(data_dir) if path.is_file()), None)


def config_candidates(data_dir: Path) -> list[Path]:
    """Return the paths to search for a configuration file when none is named, in order."""
    candidates = [Path(DEFAULT_CONFIG_NAME).absolute(), data_dir / DEFAULT_CONFIG_NAME]
    with suppress(OSError, UnicodeDecodeError):
        candidates.append(Path((data_dir / STACK_CONFIG_NAME).read_text(encoding="utf-8")))
    return candidates


def _secret(
    value: SecretStr | None, file: Path | None, variable: str, problems: list[str]
) -> SecretStr | None:
    if value is not None:
        # An env_file with Windows line endings leaves a trailing carriage return.
        return SecretStr(value.get_secret_value().strip())
    if file is None:
        return None
    try:
        return SecretStr(read_text(file).strip())
    except OSError as error:
        problems.append(f"{variable}: {file} cannot be read: {error.strerror}")
    except ValueError as error:
        problems.append(f"{variable}: {file} cannot be read: {error}")
    return None


def _url_problem(name: str, env: Environment, source: ConfigSource, what: str) -> str:
    for variable in (name, f"{name}_file"):
        if getattr(env, variable) is not None:
            return f"environment: SISGATE_{variable.upper()}: {what}"
    return source.problem((name,), what)


def _read_file(
    path: Path | None, problems: list[str], *, with_fleet: bool
) -> tuple[ConfigSource, dict[str, Any]]:
    """Return the file and its settings; adds what is wrong with it to `problems`."""
    if path is None:
        return ConfigSource(), {}
    state = state_of(path)
    source, raw = read_toml(path, problems)
    if not with_fleet:
        raw = {name: value for name, value in raw.items() if name not in FleetSettings.model_fields}
    problems += unknown_settings(raw, source)
    values: dict[str, Any] = {
        name: relative_to(path, value) if name in KEY_FILES else value
        for name, value in raw.items()
    }
    network, network_problems = network_of_this_machine()
    configs = read_providers(raw.get("providers", {}), path, source, problems, network)
    if any(e.url.startswith("https:") for config in configs.values() for e in config.endpoints):
        # An unusable proxy does not matter for sandboxes.
        problems += network_problems
    tables = {name: each for name, each in raw.items() if name in FleetSettings.model_fields}
    values |= {"providers": configs, "tables": tables, "file_state": state}
    return source, values


def read_toml(
    path: Path, problems: list[str], tables: Mapping[str, Any] | None = None
) -> tuple[ConfigSource, Mapping[str, Any]]:
    """Return a file and its content, empty if it cannot be read: added to `problems`.

    `tables` are its content if that is known: thousands of providers take a second to parse.
    """
    source = ConfigSource(path)
    try:
        source = ConfigSource(path, read_text(path))
        return source, tomllib.loads(source.text) if tables is None else tables
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{path.name}:{syntax_problem(str(error), source.text)}")
        return source, {}
    except (OSError, ValueError) as error:
        problems.append(f"{path.name}: {error}")
        return source, {}


def syntax_problem(message: str, text: str) -> str:
    """Return tomllib's message with the line first, as in all other problems.

    >>> syntax_problem("Expected ']' (at line 2, column 13)", "")
    "2: Expected ']', at column 13"
    >>> syntax_problem("Invalid value (at end of document)", "a =")
    '1: Invalid value, at the end of the file'
    """
    what, _, place = message.removesuffix(")").rpartition(" (at ")
    if found := re.fullmatch(r"line (\d+), column (\d+)", place):
        return f"{found[1]}: {what}, at column {found[2]}"
    return f"{max(1, len(text.splitlines()))}: {what or message}, at the end of the file"


def unknown_settings(raw: Mapping[str, Any], source: ConfigSource) -> list[str]:
    """Return a problem for each name at the top of a file that is no setting."""
    known = set(Settings.model_fields) - NOT_IN_FILE
    return [
        source.problem((name,), "is not a setting" + nearest(name, known))
        for name in raw
        if name not in known
    ]
