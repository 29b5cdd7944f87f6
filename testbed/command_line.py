"""The `sisgate` command within this process: as a user types it, without 0.7 s of imports."""

import contextlib
import io
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from unittest import mock

from sisgate.cli.main import execute


def typed(
    words: Sequence[str], *, folder: Path, environment: Mapping[str, str], stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run one command in `folder` with nothing but `environment`; return what it wrote."""
    given = io.TextIOWrapper(io.BytesIO(stdin.encode()), "utf-8")
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch("sys.stdin", given),
        mock.patch.dict(os.environ, environment, clear=True),
    ):
        code = execute(list(words))
    written = (_written(out), _written(err))
    return subprocess.CompletedProcess(list(words), code, *written)


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    binary = stream.buffer
    assert isinstance(binary, io.BytesIO)
    return binary.getvalue().decode()
