"""Each error tells what happened and what to do, on stderr, with an exit code of its own."""

import json
import sqlite3

import pytest

from sisgate.cli.main import execute
from sisgate.sandbox import SandboxProcess
from tests.acceptance.cli.command import Command


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["sync", "lincoln", "students"], 3, "No provider 'lincoln' is configured"),
        (["sync", "skyward", "orgs", "pupils"], 3, "has no resource 'pupils'"),
        (["records", "skyward", "pupils"], 3, "has no resource 'pupils'"),
        (["changes", "lincoln", "orgs"], 3, "No provider 'lincoln'"),
        (["jobs", "show", "ffffffff-none"], 3, "No job's id begins with"),
        (["jobs", "list", "--state", "sleeping"], 2, "'sleeping' is not one of 'accepted'"),
        (["sync", "skyward", "orgs", "--priority", "asap"], 2, "'asap' is not one of 'urgent'"),
        (["sync", "skyward", "orgs", "--mode", "half"], 2, "'half' is not one of 'auto'"),
        (["request", "skyward", "GET", "no-slash"], 2, "A path starts with /"),
        (["request", "skyward", "BREW", "/pot"], 2, "method is one of"),
        (["request", "skyward", "GET", "/x", "-q", "novalue"], 2, "NAME=VALUE"),
        (["request", "skyward", "POST", "/x", "--data", "{"], 2, "not JSON"),
        (["request", "skyward", "POST", "/x", "--data", "@nowhere"], 2, "cannot be read"),
        (["records", "skyward", "orgs", "-f", "xml"], 2, "'xml' is not one of 'table'"),
        (["sync", "skyward", "orgs", "--timeout", "1e400"], 2, "positive number of seconds"),
        (["request", "skyward", "GET", "/x", "--timeout", "nan"], 2, "positive number of seconds"),
        (["keys", "add", "skyward"], 2, "Cannot prompt for"),
        (["keys", "add", "skyward", "--client-id", "x", "--secret-env", "NONE"], 2, "no secret"),
        (["sandbox", "--districts", "moodle:3"], 2, "kind is one of"),
        (["sandbox", "--districts", "skyward:many"], 2, "written like 300"),
        (["statsu"], 2, "Commands: demo, up"),
        (["status"], 2, "`sisgate doctor` show the state. Commands: demo, up"),
        (["records", "skyward", "orgs", "-n", "x"], 2, "'-n': It takes a whole number."),
        (["jobs", "lsit"], 2, "Did you mean 'list'"),
    ],
)
def test_a_mistake_is_told_in_words(
    running: Command, capsys: pytest.CaptureFixture[str], words: list[str], code: int, says: str
) -> None:
    """No traceback, nothing on stdout."""
    assert execute(["--data-dir", str(running.folder), *words]) == code
    said = capsys.readouterr()
    assert says in " ".join(said.err.split())
    assert said.out == ""


def test_a_wrong_cursor_is_an_error_without_an_empty_table(
    running: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    """The header comes with the first change."""
    words = ["--data-dir", str(running.folder), "changes", "skyward", "orgs", "--since", "999999"]
    assert execute(words) == 2
    said = capsys.readouterr()
    assert "then follow the changes since" in said.err
    assert said.out == ""


def test_with_json_an_error_is_json_too(running: Command) -> None:
    """Programs read the code of the error, not its words."""
    ended = running("sync", "lincoln", "students", "--json", code=3)
    assert json.loads(ended.stdout)["error"]["code"] == "unknown_provider"


def test_a_refused_list_of_datasets_enqueues_none(running: Command) -> None:
    """A typing error in the last name leaves no job behind."""
    before = len(running.json("jobs", "list", "--limit", "1000"))
    running("sync", "skyward", "orgs", "pupils", code=3)
    assert len(running.json("jobs", "list", "--limit", "1000")) == before


def test_every_mistake_of_the_configuration_is_told_with_its_line(command: Command) -> None:
    """All at once, so that mending takes one round."""
    command.config.write_text(
        '[providers.a]\nkind = "moodle"\n\n[providers.b]\nkind = "skyward"\n'
        'limit = "many"\n[[providers.b.endpoints]]\nurl = "http://b.example"\n'
    )
    ended = command("providers", code=2)
    for place in ("sisgate.toml:2", "sisgate.toml:6"):
        assert place in ended.stderr
    assert "sisgate.toml:2" in command("doctor", code=1).stdout


def test_before_the_first_start_the_database_is_missing(command: Command) -> None:
    """Nothing is said to be accepted, and the way on is named."""
    ended = command("sync", "skyward", "orgs", code=4)
    assert "sisgate up" in ended.stderr


def test_before_the_first_start_doctor_tells_all_that_is_missing(command: Command) -> None:
    """As findings, also for programs: it is the command that one turns to."""
    found = json.loads(command("doctor", "--json", code=1).stdout)["findings"]
    failed = {each["subject"]: each["remedy"] for each in found if each["grade"] == "fail"}
    assert failed.keys() == {"database", "redis", "master key"}
    assert "accepted" not in failed["redis"]


def test_without_redis_a_job_is_accepted_and_that_is_said(command: Command) -> None:
    """The ledger owns the work."""
    command("db", "upgrade")
    command("keys", "master")
    ended = command("sync", "skyward", "orgs", "--json")
    assert json.loads(ended.stdout)[0]["state"] == "accepted"
    assert "Redis cannot be reached" in ended.stderr
    assert "Redis cannot be reached" in command("providers").stderr


def test_a_database_that_is_down_refuses(command: Command) -> None:
    """A PostgreSQL that nobody runs: exit code 4, and nothing was accepted."""
    url = {"SISGATE_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    ended = command("sync", "skyward", "orgs", code=4, environment=url)
    assert "Nothing was accepted" in ended.stderr


def test_an_old_database_says_how_to_upgrade(command: Command) -> None:
    """Tables that are missing are no traceback."""
    sqlite3.connect(command.folder / "sisgate.db").close()
    assert "sisgate db upgrade" in command("jobs", "list", code=4).stderr
    assert command.json("db", "current", code=1)["version"] is None
    assert command.json("db", "upgrade")["upgraded"] is True
    assert command.json("db", "upgrade")["upgraded"] is False


def test_a_request_without_redis_says_so(command: Command) -> None:
    """Not that it should wait longer: the way to an answer is to start something."""
    command("db", "upgrade")
    command("keys", "master")
    ended = command("request", "skyward", "GET", "/x", "--timeout", "0.2", code=4)
    assert "Redis cannot be reached" in ended.stderr


def test_a_provider_that_refuses_connections_is_named_as_the_cause(
    running: Command, sandbox: SandboxProcess
) -> None:
    """A request whose tries all failed tells of the last one."""
    sandbox.knobs("skyward", fail_next=[{"kind": "reset", "times": 5}])
    words = ["request", "skyward", "GET", "/ims/oneroster/v1p2/rostering/orgs", "--timeout", "0.9"]
    ended = running(*words, code=75)
    sandbox.knobs("skyward", fail_next=[])
    assert "The last try:" in ended.stderr
    assert "longer timeout" not in ended.stderr


def test_a_request_to_a_paused_provider_names_the_pause(running: Command) -> None:
    """And how to end it."""
    running("pause", "skyward", "--reason", "a test")
    try:
        ended = running("request", "skyward", "GET", "/x", "--timeout", "0.3", code=75)
    finally:
        running("resume", "skyward")
    assert "skyward takes no calls: it is paused" in ended.stderr
    assert "sisgate resume skyward" in ended.stderr


def test_jobs_with_a_deadline_expire_where_nothing_runs(command: Command) -> None:
    """Whoever waits is told, and what to start."""
    command("db", "upgrade")
    command("keys", "master")
    ended = command("sync", "skyward", "orgs", "--wait", "--timeout", "0.1", code=75)
    assert "A job past its deadline expires" in ended.stderr
    assert "Start `sisgate up`" in ended.stderr
