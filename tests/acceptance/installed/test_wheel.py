"""The built wheel in empty environments, with whatever versions the index gives today."""

import json
import textwrap
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sisgate.sandbox import SandboxProcess
from testbed.stack import configuration
from tests.acceptance.cli.command import Command
from tests.acceptance.cli.conftest import add_key
from tests.acceptance.installed.environment import Environment, build_wheel, run

Install = Callable[[str], Environment]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def install(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Install:
    """Make an environment with the wheel and some extras."""

    def installed(extras: str) -> Environment:
        folder = tmp_path_factory.mktemp(extras or "base")
        return Environment(folder / "environment", wheel, extras)

    return installed


@pytest.fixture(scope="module")
def base(install: Install) -> Environment:
    """What an app installs."""
    return install("")


@pytest.fixture(scope="module")
def everything(install: Install) -> Environment:
    """What one machine needs."""
    return install("all")


@pytest.fixture(scope="module")
def stack(
    everything: Environment, tmp_path_factory: pytest.TempPathFactory, sandbox: SandboxProcess
) -> Iterator[Command]:
    """`sisgate up` of the wheel, in a folder with a Celery app of somebody else."""
    folder = tmp_path_factory.mktemp("theirs")
    foreign = "raise SystemExit('a foreign package was started')\n"
    (folder / "workers").mkdir()
    (folder / "workers" / "__init__.py").write_text(foreign)
    (folder / "beat_schedule.py").write_text(foreign)
    data = folder / "data"
    made = Command(
        data,
        configuration({"skyward": sandbox.districts["skyward"]}, {}),
        program=[str(everything.sisgate)],
    )
    made.environment["PYTHONPATH"] = str(folder)
    # The worker's folder is the data folder.
    (data / "workers").symlink_to(folder / "workers")
    (data / "beat_schedule.py").symlink_to(folder / "beat_schedule.py")
    made.up("--workers", "2", "--no-flower")
    add_key(made, sandbox, "skyward")
    yield made
    made.down()


def test_the_wheel_has_one_top_level_name(wheel: Path) -> None:
    """Many Celery apps have a package `workers` of their own."""
    with zipfile.ZipFile(wheel) as opened:
        tops = {name.split("/")[0] for name in opened.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"sisgate"}


def test_the_wheel_holds_the_sample_configuration_that_messages_name(wheel: Path) -> None:
    """Whoever installs it has no checkout to look into."""
    with zipfile.ZipFile(wheel) as opened:
        assert "sisgate/sisgate.example.toml" in opened.namelist()


def test_an_installed_stack_syncs_beside_a_foreign_package_called_workers(stack: Command) -> None:
    """With no constraints, in an environment that holds nothing else."""
    jobs = stack.json("sync", "skyward", "orgs", "students", "--wait", "--timeout", "60")
    assert [job["state"] for job in jobs] == ["done", "done"]
    assert stack.json("records", "skyward", "students", "-n", "1")


def test_an_app_with_the_base_install_enqueues_and_reads(base: Environment, stack: Command) -> None:
    """It needs no worker, no command line and no web server, and gets none."""
    app = textwrap.dedent(
        """
        from importlib.util import find_spec
        from sisgate import Gateway

        gateway = Gateway.from_env(app="gradebook")
        status = gateway.sync("skyward", "terms").wait(timeout=60)
        print(status.state, len(list(gateway.records("skyward", "terms"))) > 0)
        answer = gateway.request("skyward", "GET", "/ims/oneroster/v1p2/orgs", timeout=30)
        print(answer.status)
        print([name for name in ("typer", "fastapi", "flower", "pybreaker") if find_spec(name)])
        from sisgate.client import HttpGateway
        print(HttpGateway("https://sisgate.test", "a-token"))
        """
    )
    words = [f"{name}={value}" for name, value in stack.json("env").items()]
    ended = run("/usr/bin/env", *words, str(base.python), "-P", "-c", app)
    over_http = "HttpGateway('https://sisgate.test')"
    assert ended.stdout.split("\n") == ["done True", "200", "[]", over_http, ""]


def test_the_double_for_apps_tests_finds_the_workers_code(everything: Environment) -> None:
    """Which no path leads to."""
    test = textwrap.dedent(
        """
        from sisgate.testing import GatewayDouble

        with GatewayDouble() as double:
            status = double.gateway.sync("powerschool", "students").wait()
        print("\\n", status.state, status.inserted)
        """
    )
    ended = run(str(everything.python), "-P", "-c", test)
    assert ended.stdout.splitlines()[-1] == " done 12"


def test_the_command_without_its_extra_says_which_is_missing(base: Environment) -> None:
    """And how to install it."""
    said = base.run("--version", code=1).stderr
    assert "pip install 'sisgate[cli]'" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("command", ["up", "demo", "celery", "sandbox", "doctor"])
def test_the_command_line_alone_names_what_a_command_needs_more(
    alone: Environment, command: str
) -> None:
    """It looks, enqueues and explains itself; what runs a fleet comes with other extras."""
    ended = alone.run("--data-dir", str(alone.folder / "data"), command, code=2)
    assert "pip install 'sisgate[" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.fixture(scope="module")
def alone(install: Install) -> Environment:
    """The command line with no other extra."""
    return install("cli")


def test_the_command_line_alone_enqueues(alone: Environment, stack: Command) -> None:
    """On a machine that is only used to look and to ask."""
    words = [f"{name}={value}" for name, value in stack.json("env").items()]
    ended = run("/usr/bin/env", *words, str(alone.sisgate), "sync", "skyward", "orgs", "--json")
    assert json.loads(ended.stdout)


@pytest.mark.parametrize(
    ("extra", "code"),
    [
        ("postgres", "import psycopg"),
        ("sandbox", "import sisgate.sandbox.server"),
        ("embedded", "from sisgate.embedded.redis_binary import _bundled; assert _bundled()"),
    ],
)
def test_each_extra_works_by_itself(install: Install, extra: str, code: str) -> None:
    """What it is for can be imported."""
    run(str(install(extra).python), "-P", "-c", code)


def test_the_extra_worker_runs_celery_as_the_image_does(install: Install, stack: Command) -> None:
    """By the path that the Dockerfile sets; nothing else of sisgate is needed there."""
    environment = install("worker")
    (fleet,) = environment.folder.glob("lib/python3.*/site-packages/sisgate/_fleet")
    words = [f"{name}={value}" for name, value in stack.json("env").items()]
    celery = [str(environment.folder / "bin" / "celery"), "-A", "workers"]
    ended = run("/usr/bin/env", *words, f"PYTHONPATH={fleet}", *celery, "inspect", "ping")
    assert "pong" in ended.stdout


def test_the_demo_runs_anywhere(everything: Environment) -> None:
    """As `uvx` or `pipx run` start it: no folder, no configuration, nothing else."""
    ended = everything.run("demo", "--students", "20", "--json", "--data-dir", "demo")
    assert json.loads(ended.stdout)["ok"]
