"""Enqueueing, following and reading from the command line, against a running stack."""

import csv
import io
import json
import signal
import subprocess
import zipfile
from pathlib import Path

import redis

from sisgate.sandbox import SandboxProcess
from tests.acceptance.cli.command import SISGATE, Command
from tests.acceptance.cli.conftest import NAMES
from tests.acceptance.conftest import STUDENTS


def test_a_whole_roster_is_synced_and_followed(running: Command) -> None:
    """Without a resource all eight datasets, parents first; the closing table names each."""
    ended = running("sync", "powerschool", "--wait", "--timeout", "60")
    for resource in ("orgs", "classes", "students", "enrollments", "demographics"):
        assert resource in ended.stdout
    assert ended.stdout.count("done") == 8
    assert "powerschool: all ended (8 of 8 jobs" in ended.stderr


def test_all_providers_are_synced_at_once(running: Command) -> None:
    """Accepted in bulk, followed together; what a condition leaves out is not asked for."""
    ended = running("sync", "--all", "orgs", "--wait", "--timeout", "60")
    for name in NAMES:
        assert name in ended.stdout
    assert ended.stdout.count("done") == len(NAMES)
    (one,) = running.json("sync", "--where", "kind=skyward", "orgs")
    assert (one["provider"], one["error"]) == ("skyward", None)
    assert running.json("jobs", "show", one["job"])["provider"] == "skyward"
    assert "No provider is chosen by pool=x" in running("sync", "--where", "pool=x", code=3).stderr


def test_a_key_of_idempotency_returns_the_first_job(running: Command) -> None:
    """Twice the same command is one job; other arguments are a conflict."""
    first = running.json("sync", "skyward", "terms", "--idempotency-key", "k1")
    again = running.json("sync", "skyward", "terms", "--idempotency-key", "k1")
    assert first[0]["id"] == again[0]["id"]
    running("sync", "skyward", "courses", "--idempotency-key", "k1", code=2)


def test_usage_tells_what_each_app_has_asked_for(running: Command) -> None:
    """The calls of now are counted, too."""
    (one,) = running.json("usage", "skyward", "--app", "default")
    assert one["calls"] >= 2
    assert one["rows"] >= STUDENTS
    assert "default" in running("usage", "--by", "hour").stdout
    assert "No calls" in running("usage", "--app", "nobody").stdout


def test_records_come_in_every_format(running: Command) -> None:
    """The same records as a table, JSON lines and CSV."""
    lines = running("records", "skyward", "students", "--json").stdout.splitlines()
    assert len(lines) == STUDENTS
    first = json.loads(lines[0])
    text = running("records", "skyward", "students", "-f", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["sourcedId"] for row in rows] == [json.loads(line)["sourcedId"] for line in lines]
    assert rows[0]["familyName"] == first["data"]["familyName"]
    table = running("records", "skyward", "students", "-n", "3")
    assert first["sourcedId"] in table.stdout
    assert "first 3" in table.stderr


def test_changes_go_on_from_a_cursor(running: Command) -> None:
    """The cursor of one reading is the start of the next."""
    ended = running("changes", "skyward", "orgs", "-n", "2", "--json")
    assert [json.loads(line)["sequence"] for line in ended.stdout.splitlines()] == [1, 2]
    assert "cursor: 2" in ended.stderr
    rest = running("changes", "skyward", "orgs", "--since", "2", "--json").stdout.splitlines()
    assert json.loads(rest[0])["sequence"] == 3


def test_following_changes_ends_with_ctrl_c(running: Command) -> None:
    """Lines come as they happen, and the cursor is told at the end."""
    process = subprocess.Popen(
        [*SISGATE, "-d", running.folder, "changes", "skyward", "orgs", "--follow", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=running.environment,
    )  # fmt: skip
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["sequence"] == 1
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "cursor: " in said


def test_a_reader_that_goes_away_is_no_error(running: Command) -> None:
    """`sisgate records … | head -1` ends quietly."""
    words = " ".join(
        [*SISGATE, "--data-dir", str(running.folder), "records skyward students --json"]
    )
    ended = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{words} | head -1"], capture_output=True, text=True,
        env=running.environment, check=False,
    )  # fmt: skip
    assert json.loads(ended.stdout)["data"]["sourcedId"]
    assert ended.stderr == ""


def test_a_request_shows_the_answer_as_it_came(running: Command) -> None:
    """Body on stdout; a refusal is exit code 1 with the provider's own body."""
    assert "district" in json.loads(
        running("request", "powerschool", "GET", "/ws/v1/district").stdout
    )
    answer = running.json(
        "request", "powerschool", "GET", "/ws/v1/district/student?page=1&pagesize=2"
    )
    assert answer["status"] == 200
    refused = running("request", "skyward", "GET", "/nothing", "--include", code=1)
    assert "HTTP 404" in refused.stdout
    assert "answered 404" in refused.stderr


def test_the_doctor_finds_a_running_stack_well(running: Command) -> None:
    """Every check passes, tokens and one call of each provider included."""
    report = running.json("doctor", "--probe")
    assert report["ok"], report
    subjects = {finding["subject"] for finding in report["findings"]}
    assert {"redis", "worker", "beat", "skyward key", "powerschool call"} <= subjects


def test_the_doctor_asks_one_provider(running: Command) -> None:
    """Of all providers only that one; a name that nobody has is an error."""
    findings = running.json("doctor", "skyward")["findings"]
    asked = {each["subject"].split()[0] for each in findings} & {"skyward", "powerschool"}
    assert asked == {"skyward"}
    assert "nowhere" in running("doctor", "nowhere", code=3).stderr


def test_the_doctor_names_what_is_missing(command: Command, sandbox: SandboxProcess) -> None:
    """No stack, no key: each with the command that mends it."""
    command("db", "upgrade")
    command("keys", "master")
    ended = command("doctor", code=1)
    assert "sisgate up" in ended.stdout
    assert "sisgate keys add skyward" in ended.stdout
    words = ["--client-id", "wrong", "--secret-file", "-"]
    command("keys", "add", "skyward", *words, stdin="not the secret\n")
    assert "refused key" in command("doctor", code=1).stdout
    found = sandbox.districts["skyward"]
    words = ["--client-id", found.client_id, "--secret-file", "-"]
    command("keys", "add", "skyward", *words, stdin=found.client_secret)
    words = ["--client-id", "wrong", "--slot", "secondary", "--secret-file", "-"]
    command("keys", "add", "skyward", *words, stdin="not the secret\n")
    findings = command.json("doctor", code=1)["findings"]
    grades = [f["grade"] for f in findings if f["subject"] == "skyward key"]
    assert grades == ["ok", "warn", "warn"], "those that drain or stand by are tried out too"


def test_the_doctor_tells_what_stands_still(running: Command) -> None:
    """A pause is no failure, and not all is well with it."""
    running("pause", "skyward", "--reason", "a test")
    try:
        ended = running("doctor")
    finally:
        running("resume", "skyward")
    assert "it is paused" in ended.stdout
    assert "sisgate resume skyward" in ended.stdout


def test_a_secret_is_never_shown(command: Command) -> None:
    """Not in what is printed, and not readable in the database."""
    command("db", "upgrade")
    command("keys", "master")
    secret = "canary-of-a-secret"
    words = ["keys", "add", "skyward", "--client-id", "41", "--secret-file", "-", "--json"]
    ended = command(*words, stdin=secret)
    listed = command("keys", "list", "--json")
    assert json.loads(listed.stdout)[0]["client_id"] == "41"
    assert secret not in ended.stdout + ended.stderr + listed.stdout
    for file in command.folder.iterdir():
        assert secret.encode() not in file.read_bytes()


def test_the_plugin_is_a_zip(command: Command, tmp_path: Path) -> None:
    """What a district uploads."""
    out = tmp_path / "plugin.zip"
    command("powerschool-plugin", str(out))
    assert "plugin.xml" in zipfile.ZipFile(out).namelist()


def test_a_command_leaves_no_connection_open(running: Command) -> None:
    """A program that runs many would not get any more at some point."""
    running("jobs", "list")
    opened = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert [path for path in opened if path.is_relative_to(running.folder)] == []


def test_the_shell_completes_names(command: Command) -> None:
    """Providers and resources from the configuration of the folder."""
    completing = {
        "_SISGATE_COMPLETE": "complete_bash",
        "COMP_WORDS": f"sisgate --data-dir {command.folder} sync sky",
        "COMP_CWORD": "4",
    }
    assert command(environment=completing).stdout.split() == ["skyward"]


def test_the_environment_leads_another_app_to_the_same_redis(running: Command) -> None:
    """As exports for a shell and as JSON."""
    found = running.json("env")
    assert redis.Redis.from_url(found["SISGATE_BROKER_URL"]).ping()
    assert found["SISGATE_DATA_DIR"] == str(running.folder)
    assert f"export SISGATE_BROKER_URL={found['SISGATE_BROKER_URL']}" in running("env").stdout


def test_before_the_first_start_there_is_no_url(command: Command) -> None:
    """A made-up one would lead nowhere."""
    assert "never been started" in command("env", code=4).stderr
