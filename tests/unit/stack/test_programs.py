"""The command lines of the embedded stack."""

import stat
from pathlib import Path

from pydantic import SecretStr

from sisgate.settings import ProviderConfig, Settings
from sisgate.stack import programs


def settings(folder: Path) -> Settings:
    """Settings with one provider and a database with a password."""
    provider = ProviderConfig.model_validate(
        {"name": "lincoln", "kind": "skyward", "endpoints": [{"url": "https://lincoln.example"}]}
    )
    return Settings(
        data_dir=folder,
        database_url=SecretStr("postgresql://me:pass-db@db/x"),
        providers={"lincoln": provider},
    )


def test_no_password_stands_on_a_command_line(tmp_path: Path) -> None:
    """Everyone on a machine can read command lines."""
    found = settings(tmp_path)
    environment = programs.child_environment(found, {"PATH": "/bin"}, "redis://:pass-r@h:1/0")
    flower = programs.flower_for(found)
    started = [
        programs.worker_program(found, environment, 4, "INFO"),
        programs.beat_program(found, environment, "INFO"),
        programs.flower_program(found, environment, flower, "INFO"),
    ]
    secret = flower.password_file.read_text().strip()
    words = " ".join(word for program in started for word in program.command())
    assert "pass-" not in words
    assert secret not in words
    assert started[2].environment["FLOWER_BASIC_AUTH"] == secret
    assert "FLOWER_BASIC_AUTH" not in started[0].environment
    assert stat.S_IMODE(flower.password_file.stat().st_mode) == 0o600


def test_the_worker_serves_the_planner_and_every_provider(tmp_path: Path) -> None:
    """One worker, all queues, also those of providers that are added later."""
    command = programs.worker_program(settings(tmp_path), {}, 3, "WARNING").command()
    assert "-Q" not in command
    assert command[command.index("-c") + 1] == "3"


def test_children_are_told_where_everything_is(tmp_path: Path) -> None:
    """They run in the data folder, so nothing may depend on where `up` was started."""
    environment = programs.child_environment(settings(tmp_path), {"A": "b"}, "redis://h:1/0")
    assert environment["A"] == "b"
    assert environment["SISGATE_DATA_DIR"] == str(tmp_path)
    assert environment["SISGATE_BROKER_URL"] == "redis://h:1/0"
    assert environment["SISGATE_DATABASE_URL"].endswith("@db/x")


def test_a_killed_worker_says_how_long_its_calls_wait(tmp_path: Path) -> None:
    """Otherwise a job stands still for a lease, and nothing on any screen says why."""
    found = settings(tmp_path)
    worker = programs.worker_program(found, {}, 4, "INFO")
    said = worker.on_crash(-9, [])
    assert said is not None
    assert f"within {found.providers['lincoln'].lease:g} s" in said
    assert (
        programs.worker_program(Settings(data_dir=tmp_path), {}, 4, "INFO").on_crash(-9, []) is None
    )
