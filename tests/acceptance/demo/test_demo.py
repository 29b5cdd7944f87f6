"""`sisgate demo`: the product's main job in one command."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

from testbed.stack import PATIENCE_SECONDS, wait_until
from tests.acceptance.cli.command import SISGATE, Command

STUDENTS = 60


def demo(folder: Path, *words: str, code: int = 0) -> tuple[dict[str, Any], str]:
    """Run the demo and return its report and what it said besides."""
    ended = subprocess.run(
        [*SISGATE, "demo", "--json", "--data-dir", str(folder), *words],
        capture_output=True, text=True, timeout=PATIENCE_SECONDS * 2, check=False,
    )  # fmt: skip
    assert ended.returncode == code, ended.stdout + ended.stderr
    lines = ended.stdout.splitlines()
    return (json.loads(lines[-1]) if lines else {}), ended.stderr


def test_three_districts_are_synced_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    """Records arrive, the quota holds as the sandbox counts it, and state persists."""
    folder = tmp_path / "demo"
    first, _ = demo(folder, "--students", str(STUDENTS))
    assert first["ok"]
    assert first["changed"]
    assert first["totals"]["inserted"] == first["totals"]["records"] > 3 * STUDENTS
    for name, found in first["providers"].items():
        assert len(found["resources"]) == 8, name
        assert found["sandbox"]["throttled"] == 0
        assert found["sandbox"]["violations"] == 0
        assert found["calls"] == found["sandbox"]["calls"]
        limit = int(found["limit"].split("/")[0])
        assert found["quota_left"] == limit - found["calls"]

    second, _ = demo(folder)
    assert second["ok"]
    assert not second["changed"]
    assert [second["totals"][word] for word in ("inserted", "updated", "deleted")] == [0, 0, 0]
    assert second["totals"]["records"] == first["totals"]["records"]
    # Ours goes on counting from the first run; the sandbox began anew.
    assert (
        second["providers"]["skyward"]["quota_left"] < first["providers"]["skyward"]["quota_left"]
    )
    command = Command(folder)
    command.wait_until_gone()
    shown = command("records", "skyward", "students", "--json").stdout.splitlines()
    assert len(shown) == second["providers"]["skyward"]["resources"]["students"]["records"]


def test_ctrl_c_stops_everything_and_the_next_run_goes_on(tmp_path: Path) -> None:
    """Exit code 130, no process left, nothing lost."""
    folder = tmp_path / "demo"
    process = subprocess.Popen(
        [*SISGATE, "demo", "--data-dir", str(folder), "--students", "400"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    command = Command(folder)
    wait_until(lambda: "worker" in command.pids(), "the worker")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    assert "continues from here" in said
    command.wait_until_gone()
    report, _ = demo(folder)
    assert report["ok"]


def test_a_folder_of_another_size_or_kind_is_left_alone(tmp_path: Path) -> None:
    """--fresh removes demos only, and a size is not changed by accident."""
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "thesis.txt").write_text("precious")
    _, said = demo(folder, "--fresh", code=2)
    assert "not the folder of a demo" in said
    _, said = demo(folder, code=2)
    assert "something else than a demo" in said
    assert (folder / "thesis.txt").exists()
    (folder / "demo.json").write_text('{"students": 50, "ports": {}}')
    _, said = demo(folder, "--students", "60", code=2)
    assert "demo of 50 students" in said


def test_nothing_outlives_a_killed_demo(tmp_path: Path) -> None:
    """SIGKILL of the demo stops the stack in order, and the sandbox with it."""
    folder = tmp_path / "demo"
    process = subprocess.Popen(
        [*SISGATE, "demo", "--data-dir", str(folder), "--students", str(STUDENTS)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    command = Command(folder)
    wait_until(lambda: "worker" in command.pids(), "the worker")
    process.kill()
    process.wait()
    command.wait_until_gone()
