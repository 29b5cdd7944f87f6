"""Running the sandbox as its own process, and talking to its control plane."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.request import Request, urlopen

from sisgate.clock import SystemClock, poll_until
from sisgate.sandbox.spec import SandboxSpec

CONTROL_TIMEOUT_SECONDS = 60.0


class SandboxNotReady(RuntimeError):
    """The sandbox process ended, or did not open its ports in time; the text has its stderr."""


@dataclass(frozen=True, slots=True)
class RunningDistrict:
    """Where a district of a running sandbox is, and with what to enter."""

    name: str
    kind: str
    url: str
    """Origin, without a path: `http://127.0.0.1:7701`."""
    token_url: str
    oneroster_base: str | None
    """Absolute base of the OneRoster resources; None for PowerSchool."""
    client_id: str
    client_secret: str

    def control(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send one control request (`path` below `/sandbox`) and return its JSON answer."""
        request = Request(  # noqa: S310 - the URL is the sandbox's own
            f"{self.url}/sandbox{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        with urlopen(request, timeout=CONTROL_TIMEOUT_SECONDS) as answer:  # noqa: S310 - as above
            return json.load(answer)


class SandboxProcess:
    """A sandbox in a subprocess, for the length of a `with` block.

    `SandboxNotReady` from `start` when the ports are not open within `ready_seconds`. The process
    ends when this one does, however it ends.
    """

    def __init__(self, spec: SandboxSpec | None = None, *, ready_seconds: float = 60.0) -> None:
        self.spec = spec or SandboxSpec()
        self.districts: dict[str, RunningDistrict] = {}
        self._ready_seconds = ready_seconds
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id. `RuntimeError` when it does not run."""
        if self._process is None:
            raise RuntimeError("the sandbox is not running")
        return self._process.pid

    def start(self) -> Self:
        """Start the process and wait until every port is open."""
        with tempfile.TemporaryDirectory(prefix="sisgate-sandbox-") as folder:
            ready, errors = Path(folder, "ready.json"), Path(folder, "stderr")
            command = [sys.executable, "-P", "-m", "sisgate.sandbox"]
            command += ["--spec-file", f"{folder}/spec", "--ready-file", str(ready)]
            command += ["--exit-with-parent", str(os.getpid())]
            plain = {"districts": [district.as_dict() for district in self.spec.districts]}
            Path(folder, "spec").write_text(json.dumps(plain), encoding="utf-8")
            with errors.open("wb") as stderr:
                # In a session of its own: Ctrl-C is for this process, which stops the sandbox last.
                self._process = process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=stderr,
                    start_new_session=True,
                )
            poll_until(
                lambda: ready.exists() or process.poll() is not None,
                clock=SystemClock(),
                timeout_seconds=self._ready_seconds,
            )
            if not ready.exists():
                self.stop()
                text = errors.read_text(encoding="utf-8", errors="replace")
                raise SandboxNotReady(f"the sandbox did not start: {text[-2000:]}")
            opened = json.loads(ready.read_text(encoding="utf-8"))["districts"]
        self.districts = {district["name"]: RunningDistrict(**district) for district in opened}
        return self

    def stop(self) -> None:
        """End the process. Safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stats(self, name: str, *, arrivals: bool = False) -> dict[str, Any]:
        """Return what the district has seen; with `arrivals` the time of every call."""
        query = "?arrivals=1" if arrivals else ""
        answer: dict[str, Any] = self.districts[name].control("GET", f"/stats{query}")
        return answer

    def knobs(self, name: str, **changes: Any) -> dict[str, Any]:
        """Change knobs and return all of them. `HTTPError` 400 when one is wrong."""
        answer: dict[str, Any] = self.districts[name].control("PATCH", "/knobs", changes)
        return answer

    def churn(self, name: str, **request: Any) -> dict[str, Any]:
        """Change data (fields of `ChurnRequest`) and return the ids of the changed rows."""
        answer: dict[str, Any] = self.districts[name].control("POST", "/churn", request)
        return answer

    def expire_tokens(self, name: str) -> None:
        """End every token now: the next call that shows one gets the expired 401."""
        self.districts[name].control("POST", "/tokens/expire", {})

    def reset(self, name: str) -> None:
        """Bring the district back to its start: data, knobs, quota and statistics."""
        self.districts[name].control("POST", "/reset", {})
