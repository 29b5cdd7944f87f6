"""The wheel of this tree, and environments that hold it and what it asks for, unconstrained."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
INSTALL_SECONDS = 600
"""An index may be slow; with a filled cache it takes a second."""


class Environment:
    """An environment with the wheel and `extras`, made in `folder` from the Python of this run."""

    def __init__(self, folder: Path, wheel: Path, extras: str = "") -> None:
        self.folder = folder
        requirement = f"{wheel}[{extras}]" if extras else str(wheel)
        run("uv", "venv", "--quiet", "--python", sys.executable, str(folder))
        words = ["install", "--quiet", requirement]
        try:
            run("uv", "pip", *words, "--python", str(self.python))
        except AssertionError:
            # pip may know an index that uv does not: they share no configuration.
            run("pip", "--python", str(self.python), *words)

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def sisgate(self) -> Path:
        return self.folder / "bin" / "sisgate"

    def run(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run its `sisgate` in its own folder and check the exit code."""
        return run(str(self.sisgate), *words, code=code, folder=self.folder)


def build_wheel(folder: Path) -> Path:
    """Build this tree's wheel as `make build` does."""
    run("pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    (wheel,) = folder.glob("sisgate-*.whl")
    return wheel


def run(
    program: str, *words: str, code: int = 0, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program of this run's environment, or one named by its path, and check its end."""
    path = Path(sys.executable).parent / program
    ended = subprocess.run(
        [path, *words],
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        cwd=folder,
        env=clean_environment(),
        check=False,
    )
    said = ended.stdout + ended.stderr
    assert ended.returncode == code, f"{path} {' '.join(words)}: {ended.returncode}\n{said}"
    return ended


def clean_environment() -> dict[str, str]:
    """This process's environment without what is meant for sisgate, pytest or a constrained pip."""
    strange = ("SISGATE_", "PYTEST_", "PYTHON", "PIP_CONSTRAINT", "UV_CONSTRAINT", "FORCE_COLOR")
    return {name: value for name, value in os.environ.items() if not name.startswith(strange)}
