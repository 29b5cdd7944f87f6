"""Jobs by the console's filter on the command line: find, follow, retry and cancel all."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sisgate import tracing
from sisgate.cli.exits import ExitCode
from sisgate.cli.job_queries import complete_filter
from sisgate.cli.main import execute
from sisgate.gateway import Gateway
from sisgate.settings import load_settings
from tests.integration.screens.conftest import InstallHere

CONFIG = """
[providers.lincoln]
kind = "oneroster"
token_url = "https://sis.test/token"
[[providers.lincoln.endpoints]]
url = "https://sis.test"
"""
TRACE = "0af7651916cd43dd8448eb211c80319c"

Run = Callable[..., tuple[int, Any]]


@pytest.fixture
def gateway(install_here: InstallHere) -> Iterator[Gateway]:
    """One provider, and no worker."""
    install_here(CONFIG)
    with closing(Gateway(load_settings())) as gateway:
        yield gateway


@pytest.fixture
def run(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command with `--json`; return its exit code and what it wrote."""
    assert gateway is not None

    def one(*words: str) -> tuple[int, Any]:
        capsys.readouterr()
        code = execute([*words, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return one


def test_a_state_in_which_nothing_can_be_done_is_named(run: Run) -> None:
    """With those in which it can."""
    code, told = run("jobs", "retry", "state:done", "--yes")
    assert (code, told["error"]["message"]) == (
        2,
        "retry is not possible for state:done: only for jobs that are failed, expired, cancelled.",
    )


def test_a_group_that_gets_a_name_says_how_to_show_it(run: Run) -> None:
    """`providers lincoln` is what many try first."""
    code, told = run("providers", "lincoln")
    assert code == 2
    assert "`sisgate providers show lincoln` shows one" in told["error"]["message"]


def test_what_the_console_finds_the_command_finds(gateway: Gateway, run: Run) -> None:
    """The words may be one argument or several; options say the same."""
    jobs = {each: gateway.sync("lincoln", each).id for each in ("students", "teachers")}
    gateway.jobs.cancel(jobs["students"])
    for words in (
        ["state:cancelled since:1h"],
        ["state:cancelled", "is:unretried"],
        ["-s", "cancelled"],
        ["-s", "cancelled", "--since", "5m", "--provider", "lincoln"],
    ):
        code, found = run("jobs", "list", *words)
        assert (code, [each["id"] for each in found]) == (0, [jobs["students"]])
    assert run("jobs", "list", "--since", "2100-01-01") == (0, [])
    assert run("jobs", "list", "--error", "usage", "--app", "x") == (0, [])
    assert run("jobs", "list", jobs["teachers"][:8])[1][0]["id"] == jobs["teachers"]
    code, problem = run("jobs", "list", "colour:red")
    assert (code, problem["error"]["code"]) == (ExitCode.USAGE, "usage")
    assert "state:" in problem["error"]["message"]


def test_all_that_match_are_reviewed_confirmed_and_cancelled(gateway: Gateway, run: Run) -> None:
    """Without a terminal to ask on, only with --yes; then retried the same way."""
    jobs = [gateway.sync("lincoln", each).id for each in ("students", "teachers", "classes")]
    gateway.jobs.cancel(jobs[0])
    words = ("jobs", "cancel", "provider:lincoln")
    code, review = run(*words, "--dry-run")
    assert (code, review["count"], review["left_out"]) == (0, 2, {"cancelled": 1})
    assert run("jobs", "retry", "state:cancelled", "--app", "x", "--dry-run")[1]["count"] == 0
    code, problem = run(*words)
    assert code == ExitCode.USAGE
    assert "2 jobs would be cancelled" in problem["error"]["message"]
    assert gateway.jobs.status(jobs[1]).state == "accepted"
    code, outcome = run(*words, "--yes")
    assert (code, outcome["done"], outcome["conflicts"]) == (0, 2, [])
    code, outcome = run("jobs", "retry", "state:cancelled", "since:1h", "--yes")
    assert (code, outcome["done"]) == (0, 3)
    assert all(gateway.jobs.status(job).retried_as for job in jobs)
    assert run("jobs", "retry", "state:cancelled", "--yes")[1]["count"] == 0


def test_jobs_left_as_they_are_are_told_and_end_with_1(gateway: Gateway, run: Run) -> None:
    """Here because their provider has been removed since."""
    job = gateway.sync("lincoln", "students").id
    gateway.jobs.cancel(job)
    Path("sisgate.toml").write_text(CONFIG.replace("lincoln", "adams"), encoding="utf-8")
    code, outcome = run("jobs", "retry", "state:cancelled", "--yes")
    assert (code, outcome["done"]) == (ExitCode.FAILED, 0)
    (conflict,) = outcome["conflicts"]
    assert (conflict["job"], "lincoln" in conflict["message"]) == (job, True)


def test_jobs_of_other_apps_are_counted_apart(
    gateway: Gateway, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An app that sees another's jobs may not cancel them."""
    gateway.sync("lincoln", "students")
    token = gateway.tokens.add("eve", ["app", "viewer"]).token
    assert token is not None
    monkeypatch.setenv("SISGATE_TOKEN", token.get_secret_value())
    code, review = run("jobs", "cancel", "state:accepted", "--yes")
    assert (code, review["count"], review["forbidden"]) == (0, 0, 1)


def test_a_job_shows_its_trace_and_its_timeline(gateway: Gateway, run: Run) -> None:
    """The id that logs and traces have; and what happened, in order."""
    header = f"00-{TRACE}-b7ad6b7169203331-01".encode()
    with tracing.in_trace_of([(b"traceparent", header)]):
        job = gateway.sync("lincoln", "students", app="gradebook").id
    gateway.jobs.cancel(job)
    assert run("jobs", "show", job)[1]["trace"] == TRACE
    code, timeline = run("jobs", "timeline", job[:8])
    assert (code, timeline["is_whole"]) == (0, True)
    texts = [each["text"] for each in timeline["entries"]]
    assert texts[0] == "accepted from gradebook"
    assert texts[-1].startswith("cancelled")


def test_the_dashboard_is_that_of_the_console(gateway: Gateway, run: Run) -> None:
    """The same method; nothing works here, and it says so."""
    gateway.sync("lincoln", "students")
    code, board = run("dashboard")
    assert (code, board["live_jobs"], board["provider_count"]) == (0, {"accepted": 1}, 1)
    messages = [each.message for each in gateway.fleet.dashboard().attention]
    assert [each["message"] for each in board["attention"]] == messages
    assert any("beat" in each for each in messages)


def test_shells_complete_qualifiers_and_values() -> None:
    """As far as they are the same everywhere."""
    context: Any = None
    assert complete_filter(context, "sta") == ["state:"]
    assert complete_filter(context, "state:f") == ["state:failed"]
    assert complete_filter(context, "is:") == ["is:dead", "is:unretried", "is:unapproved"]
    assert complete_filter(context, "app:x") == []


def test_why_explains_a_job_whose_provider_is_no_more(gateway: Gateway, run: Run) -> None:
    """From what the job itself says."""
    job = gateway.sync("lincoln", "students").id
    gateway.jobs.cancel(job)
    Path("sisgate.toml").write_text(CONFIG.replace("lincoln", "adams"), encoding="utf-8")
    code, verdict = run("why", job)
    assert (code, verdict["culprit"]["cause"]) == (0, "job_cancelled")
