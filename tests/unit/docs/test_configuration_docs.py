"""docs/reference/configuration.md names every setting and variable, and none that is gone."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sisgate.providers.kinds import DIALECTS
from sisgate.settings import service
from sisgate.settings.alerts import AlertChannel, AlertRule, AlertsConfig
from sisgate.settings.app import AppConfig
from sisgate.settings.fleet import FleetSettings, RetentionConfig, ScheduleConfig
from sisgate.settings.load import Environment
from sisgate.settings.model import Settings
from sisgate.settings.objectives import CalendarConfig, DatasetObjectives, ObjectivesConfig
from sisgate.settings.provider import ProviderConfig
from sisgate.settings.provider_parts import (
    BreakerConfig,
    Endpoint,
    HealthConfig,
    PathRule,
    RetryConfig,
    RotationConfig,
    SchoolHours,
)
from sisgate.settings.transforms import RequestTransform, ResponseTransform, TransformConfig
from sisgate.settings.web import WebConfig
from sisgate.settings.webhooks import WebhookConfig

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "configuration.md").read_text("utf-8")
SECTIONS: dict[str, type[BaseModel]] = {
    "Settings of a process": Settings,
    "Settings of the fleet": FleetSettings,
    "[providers.NAME]": ProviderConfig,
    "[[providers.NAME.endpoints]]": Endpoint,
    "[[providers.NAME.paths]]": PathRule,
    "[[providers.NAME.transforms]]": TransformConfig,
    "[providers.NAME.transforms.request]": RequestTransform,
    "[providers.NAME.transforms.response]": ResponseTransform,
    "[providers.NAME.breaker]": BreakerConfig,
    "[providers.NAME.retry]": RetryConfig,
    "[providers.NAME.school_hours]": SchoolHours,
    "[providers.NAME.health]": HealthConfig,
    "[providers.NAME.rotation]": RotationConfig,
    "[objectives]": ObjectivesConfig,
    "[objectives.datasets.NAME]": DatasetObjectives,
    "[calendars.NAME]": CalendarConfig,
    "[apps.NAME]": AppConfig,
    "[schedules.NAME]": ScheduleConfig,
    "[retention]": RetentionConfig,
    "[web]": WebConfig,
    "[webhooks]": WebhookConfig,
    "[alerts]": AlertsConfig,
    "[alerts.channels.NAME]": AlertChannel,
    "[alerts.rules.NAME]": AlertRule,
}


def fields_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The settings of a section; those of the fleet stand in one of their own."""
    shared = FleetSettings.model_fields if model is Settings else {}
    return {name: field for name, field in model.model_fields.items() if name not in shared}


def table_of(heading: str) -> dict[str, str]:
    """The rows of the table under a heading: the name, and the rest of the row."""
    (section,) = re.findall(
        rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL
    )
    return dict(re.findall(r"^\| `(\w+)` \|(.*)\|$", section, re.MULTILINE))


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_setting_is_documented_where_it_belongs(heading: str) -> None:
    """A new field without a row fails here, and so does a row whose field has gone."""
    assert set(table_of(heading)) == set(fields_of(SECTIONS[heading]))


@pytest.mark.parametrize("heading", SECTIONS)
def test_plain_defaults_are_those_of_the_code(heading: str) -> None:
    """Numbers, words and truths; what depends on the kind or the folder is told in words."""
    rows = table_of(heading)
    for name, field in fields_of(SECTIONS[heading]).items():
        told = rows[name].split("|")[0].strip().strip("`")
        if field.is_required():
            assert told.startswith(("required", "the ")), name
        elif isinstance(field.default, bool):
            assert told == str(field.default).lower(), name
        elif isinstance(field.default, int | float):
            assert float(told) == field.default, name
        elif isinstance(field.default, str):
            assert told == field.default, name


def test_the_usual_limit_of_each_kind_is_told() -> None:
    """As the kind's dialect has it."""
    told = table_of("[providers.NAME]")["limit"]
    for kind, dialect in DIALECTS.items():
        assert f"{kind} {dialect.default_limit}" in told


def test_every_environment_variable_is_documented() -> None:
    """With the prefix that the code gives it."""
    expected = {f"SISGATE_{name.upper()}" for name in Environment.model_fields}
    expected |= {service.URL, service.ALLOW_INSECURE}
    assert set(table_of("Environment variables")) == expected


def test_no_section_lacks_its_model() -> None:
    """A table of settings that nobody compares would grow old."""
    found = set(re.findall(r"^## (.+)\n(?:(?!## ).*\n)*?\| setting \|", PAGE, re.MULTILINE))
    assert found == set(SECTIONS)
