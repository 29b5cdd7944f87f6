"""Starting a process: the processor time of imports and commands, beside their libraries alone.

Each run is a fresh interpreter with compiled modules; user and system time of the process count.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping

from benchmarks.report import Report, times
from benchmarks.scale import QUICK, Scale
from benchmarks.stack import DISTRICT, Ground

GROUND = "import sqlalchemy, redis, pydantic"
PYTHON: Mapping[str, str] = {
    "python alone": "pass",
    GROUND: GROUND,
    "the same, with ORM, models and settings": (
        "import sqlalchemy.orm, sqlalchemy.dialects.sqlite, redis, pydantic_settings\n"
        "class Settings(pydantic_settings.BaseSettings): ..."
    ),
    "import sisgate": "import sisgate",
    "from sisgate import Gateway": "from sisgate import Gateway",
    "Gateway.from_env()": "from sisgate import Gateway; Gateway.from_env()",
    "… and a request accepted": (
        "from sisgate import Gateway\n"
        f"Gateway.from_env().enqueue_request({DISTRICT!r}, 'GET', '/ims/oneroster/v1p1/orgs')"
    ),
    "import workers": "import workers",
}
COMMANDS = ("--version", "--help", "jobs --help", "jobs list")
COMPLETION = {"_SISGATE_COMPLETE": "complete_bash", "COMP_WORDS": "sisgate jo", "COMP_CWORD": "1"}


def run(scale: Scale) -> Report:
    """Measure all, turns alternating."""
    report = Report("startup")
    rounds = 3 if scale is QUICK else 15
    with (
        Ground() as ground,
        ground.product("sqlite"),
        tempfile.TemporaryDirectory(prefix="sisgate-bench-") as compiled,
    ):
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": compiled}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        contenders = _contenders(environment)
        found: dict[str, list[float]] = {name: [] for name in contenders}
        for turn in range(-1, rounds):
            for name, (command, variables) in contenders.items():
                seconds = processor_seconds(command, variables)
                if turn >= 0:
                    found[name].append(seconds)
    medians = {name: statistics.median(each) for name, each in found.items()}
    report.add_table(
        "Starting a process: processor time",
        ["", "s", "least", "of the libraries"],
        [
            [name, f"{seconds:.3f}", f"{min(found[name]):.3f}", times(seconds / medians[GROUND])]
            for name, seconds in medians.items()
        ],
    )
    report.figures["cpu_seconds"] = found
    report.notes.append(f"The libraries are those of `{GROUND}`; SQLite, PostgreSQL adds psycopg.")
    return report


def processor_seconds(command: list[str], environment: Mapping[str, str]) -> float:
    """Return the user and system time of a process, which must succeed."""
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return used.ru_utime + used.ru_stime


def _contenders(environment: Mapping[str, str]) -> dict[str, tuple[list[str], Mapping[str, str]]]:
    sisgate = [sys.executable, "-m", "sisgate.cli"]
    return {
        **{name: ([sys.executable, "-c", code], environment) for name, code in PYTHON.items()},
        **{f"sisgate {words}": ([*sisgate, *words.split()], environment) for words in COMMANDS},
        "completion of a command": (sisgate, {**environment, **COMPLETION}),
    }
