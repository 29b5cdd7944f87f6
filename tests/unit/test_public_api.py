"""What apps import from sisgate: these names, and little else with them."""

from importlib import import_module
from pathlib import Path

import pytest

import sisgate
from sisgate import errors
from sisgate.gateway.deprecated import MOVED
from sisgate.settings import load_settings

NAMES = ["Answer", "Gateway", "Job", "JobStatus", "NewRequest", "NewSync", "Plan", "SisgateError"]
FACADE = {
    "access", "acting_as", "alerts", "answer", "audit", "changes", "close", "configuration",
    "context", "datasets", "diagnosis", "enqueue", "enqueue_request", "errors", "fleet",
    "for_session", "for_token", "from_env", "job", "jobs", "keys", "ledger", "on", "plan",
    "privacy", "providers", "quarantine", "records", "request", "requests", "schedules", "sessions",
    "settings", "sla", "sync", "sync_many", "tokens", "transforms", "webhooks", "why",
}  # fmt: skip


def test_the_public_names_are_these() -> None:
    """A name that comes or goes is a decision, made here as well."""
    assert sorted(sisgate.__all__) == NAMES
    assert all(hasattr(sisgate, name) for name in sisgate.__all__)


@pytest.mark.parametrize("package", ["gateway", "settings", "client", "testing"])
def test_each_name_of_a_package_is_where_it_says(package: str) -> None:
    """They are imported on first use, from a table that nothing else reads."""
    whole = import_module(f"sisgate.{package}")
    assert [name for name in whole.__all__ if not hasattr(whole, name)] == []


def test_the_gateway_has_these_names_and_no_others(tmp_path: Path) -> None:
    """What apps call most, and the parts; a new method belongs into one of these."""
    gateway = sisgate.Gateway(load_settings(data_dir=tmp_path))
    names = {name for name in dir(gateway) if not name.startswith("_")}
    gateway.close()
    assert names == FACADE
    assert not names & set(MOVED)


def test_every_error_has_a_code_of_its_own() -> None:
    """Apps and logs tell errors apart by it."""
    classes = [c for c in vars(errors).values() if isinstance(c, type)]
    codes = [c.code for c in classes if issubclass(c, errors.SisgateError)]
    assert len(codes) == len(set(codes)) > 20
