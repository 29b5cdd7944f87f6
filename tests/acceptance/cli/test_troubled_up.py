"""`sisgate up` in trouble: a child that cannot start, a full disk, a damaged file of Redis."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sisgate.sandbox import SandboxProcess
from testbed.stack import wait_until
from tests.acceptance.cli.command import Command
from tests.acceptance.cli.conftest import add_key
from tests.acceptance.cli.test_up import said

DISK_BYTES = 48 << 20

BROKEN = """
import os, sys
if "worker" in sys.orig_argv and any(word.endswith("__main__.py") for word in sys.orig_argv):
    os.write(2, b"this machine has no luck\\n")
    os._exit(1)
"""
"""A sitecustomize.py that ends each worker at its start."""


def test_a_worker_that_dies_over_and_over_ends_up_with_its_error(command: Command) -> None:
    """It does not say that it is up, and what the worker said is not lost among other lines."""
    broken = command.folder.parent / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text(BROKEN)
    ended = command("up", "--no-flower", "--json", code=1, environment={"PYTHONPATH": str(broken)})
    assert '"event": "ready"' not in ended.stdout
    assert "worker ended with exit code 1" in ended.stderr
    assert ended.stderr.rstrip().endswith("this machine has no luck")
    command.wait_until_gone()


def test_a_damaged_append_only_file_is_put_aside_and_the_work_goes_on(
    command: Command, sandbox: SandboxProcess
) -> None:
    """What was accepted is in the ledger, and is done after it."""
    command.up("--no-flower")
    add_key(command, sandbox, "skyward")
    assert command.down() == 0
    (waiting,) = command.json("sync", "skyward", "orgs")
    (increment,) = (command.folder / "redis" / "appendonlydir").glob("*.incr.aof")
    increment.write_bytes(b"damaged" + increment.read_bytes()[7:])

    command.up("--no-flower")
    assert "put aside as" in said(command)
    wait_until(
        lambda: command.json("jobs", "show", waiting["id"])["state"] == "done", "the waiting job"
    )


@pytest.fixture
def small(sandbox_toml: str) -> Iterator[Command]:
    """A data folder on a disk of its own. Mounting one takes root; nothing else can fill a disk."""
    # Not in tmp_path: after a killed run, pytest could not delete its folders while one is mounted.
    disk = Path(tempfile.mkdtemp(prefix="sisgate-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small disk can only be mounted by root")
    made = Command(disk / "data", sandbox_toml)
    try:
        yield made
    finally:
        made.down()
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
        disk.rmdir()


def test_a_full_disk_ends_nothing_and_all_goes_on_when_there_is_space(
    small: Command, sandbox: SandboxProcess
) -> None:
    """Also what has to be written meanwhile, such as the process ids, and our own log."""
    process = small.up("--no-flower")
    add_key(small, sandbox, "skyward")
    before = small.pids()
    filler = small.folder.parent / "filler"
    with filler.open("wb") as file:
        fill(file.fileno(), filler)
    for name in ("worker", "beat", "redis"):
        os.kill(before[name], signal.SIGKILL)
    refused = small("sync", "skyward", "orgs", code=4)
    assert "full" in refused.stderr
    assert process.poll() is None

    filler.unlink()
    (job,) = small.json("sync", "skyward", "orgs", "--wait", "--timeout", "120")
    assert job["state"] == "done"
    assert all(small.pids().get(name, pid) != pid for name, pid in before.items())
    assert "has free space again" in said(small)


def fill(descriptor: int, path: Path) -> None:
    """Write until no byte is left."""
    for size in (1 << 20, 1 << 12, 1):
        while shutil.disk_usage(path).free >= size:
            try:
                os.write(descriptor, bytes(size))
            except OSError:
                break
