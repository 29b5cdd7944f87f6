"""The fingerprints of a configuration: they change with it, and with nothing else."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from sisgate.audit.configuration import fingerprints
from sisgate.settings import Settings
from sisgate.settings.app import AppConfig
from sisgate.settings.fleet import RetentionConfig

HERE = Settings(data_dir=Path("/here"))


def _of(settings: Settings) -> dict[str, str]:
    return fingerprints(settings, settings)


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"data_dir": Path("/there"), "config_file": Path("/there/sisgate.toml")},
        {"broker_url": SecretStr("redis://r/0"), "database_url": SecretStr("postgresql://p/s")},
        {"master_key": SecretStr("k"), "master_key_file": Path("/run/secrets/master_key")},
        {"token": SecretStr("sisgate_1_2"), "app_name": "gradebook"},
    ],
)
def test_a_process_that_is_somewhere_else_has_the_same_configuration(
    elsewhere: dict[str, object],
) -> None:
    """Or an app at the command line and one beside the worker would take turns in the log."""
    assert _of(HERE.model_copy(update=elsewhere)) == _of(HERE)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"access": "tokens"}, "settings"),
        ({"retention": RetentionConfig(originals=None, jobs=None)}, "settings"),
        ({"audit_heads_command": ("true",)}, "settings"),
        ({"apps": {"gradebook": AppConfig(weight=2)}}, "apps"),
    ],
)
def test_a_change_is_told_by_its_part(change: dict[str, object], part: str) -> None:
    """What decides about access, keeping and proof is in it."""
    before, after = _of(HERE), _of(HERE.model_copy(update=change))
    assert {name for name in before if before[name] != after[name]} == {part}
