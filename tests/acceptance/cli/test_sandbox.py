"""`sisgate sandbox` in the foreground."""

import json
import signal
import socket
import subprocess
import tomllib
from pathlib import Path
from urllib.request import urlopen

from tests.acceptance.cli.command import SISGATE, Command


def test_the_sandbox_serves_until_ctrl_c(tmp_path: Path) -> None:
    """It tells addresses, keys and a configuration that sisgate reads."""
    process = subprocess.Popen(
        [*SISGATE, "sandbox", "--districts", "lincoln=skyward:20", "--quota", "60/m", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    found = json.loads(process.stdout.readline())
    (district,) = found["districts"]
    with urlopen(f"{district['url']}/sandbox") as answer:
        assert json.load(answer)["sizes"]["students"] == 20
    assert tomllib.loads(found["toml"])["providers"]["lincoln"]["limit"] == "60/m"
    assert "lincoln" in Command(tmp_path / "data", found["toml"])("providers").stdout
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_a_port_in_use_is_named() -> None:
    """A usage error, before anything is started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        words = ["sandbox", "--districts", "lincoln=skyward:3", "--ports", port]
        ended = subprocess.run([*SISGATE, *words], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert f"Port {port}" in ended.stderr
