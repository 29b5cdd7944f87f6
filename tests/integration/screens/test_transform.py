"""`sisgate transform test` shows what a rule makes of a request and a response."""

import json
from pathlib import Path

import pytest

from sisgate.cli.main import execute

CONFIG = """
[providers.lincoln]
kind = "oneroster"
auth = "none"
[[providers.lincoln.endpoints]]
url = "https://sis.test"
[[providers.lincoln.transforms]]
name = "names"
path = "/orgs"
request.query = { limit = "2" }
response.jmespath = "orgs[].name"
"""
TEST = ["transform", "test", "lincoln", "/orgs?offset=4"]


@pytest.fixture(autouse=True)
def _installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sisgate.toml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "orgs.json").write_text('{"orgs": [{"name": "Núñez"}]}', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SISGATE_DATA_DIR", str(tmp_path / "data"))


def test_the_changed_request_and_response_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """For people and as JSON; it needs neither ledger nor Redis."""
    assert execute([*TEST, "--response", "@orgs.json"]) == 0
    shown = capsys.readouterr().out
    assert "GET /orgs?offset=4&limit=2" in shown
    assert '["Núñez"]' in shown
    assert execute([*TEST, "--response", "@orgs.json", "--json"]) == 0
    trial = json.loads(capsys.readouterr().out)
    assert trial["transform"] == "names"
    assert trial["request"]["query"] == {"offset": "4", "limit": "2"}
    assert json.loads(trial["response"]["body"]) == ["Núñez"]


def test_what_cannot_be_is_an_error_with_rule_and_place(capsys: pytest.CaptureFixture[str]) -> None:
    """A response that is no JSON, a file that is not there, a name that is not configured."""
    for more, code, said in (
        (["--response", "<html>"], 1, "'names' of lincoln failed at response.jmespath"),
        (["--response", "@none.json"], 2, "none.json cannot be read"),
        (["--name", "nams"], 2, "Did you mean 'names'"),
    ):
        assert execute([*TEST, *more]) == code
        assert said in " ".join(capsys.readouterr().err.split())
