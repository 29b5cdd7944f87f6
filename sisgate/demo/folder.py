"""The folder of a demo: what it is a demo of, and the configuration that leads to its sandbox."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sisgate.embedded.redis_conf import free_port, port_is_free
from sisgate.errors import ConfigurationError, UsageError
from sisgate.sandbox import DEFAULT_DISTRICTS, DistrictSpec, RunningDistrict, SandboxSpec
from sisgate.stack import data_folder

MARK = "demo.json"
CONFIG = "sisgate.toml"

_HEAD = """\
# Written by `sisgate demo` at each start: what you change here is lost.
"""
_PROVIDER = """
[providers.{name}]
kind = "{kind}"
limit = "{limit}"
# The whole hour's calls may be made at once, so that the demo is quick. Without this line a tenth
# may, and the rest is spread evenly over the hour, as a real SIS prefers it.
burst = {burst}
# The sandbox speaks plain http, and only on this machine.
allow_insecure = true
token_url = "{token_url}"
{base_path}
[[providers.{name}.endpoints]]
url = "{url}"
"""


@dataclass(frozen=True)
class Demo:
    """How many students the largest district has, and the port of each district."""

    students: int
    ports: Mapping[str, int]

    @property
    def spec(self) -> SandboxSpec:
        """The sandbox: three kinds, the same data in every run, strict default quotas."""
        return SandboxSpec(
            tuple(
                replace(d, students=_scaled(d, self.students), port=self.ports.get(d.name, 0))
                for d in DEFAULT_DISTRICTS
            )
        )


def open_demo(folder: Path, students: int | None) -> Demo:
    """Return the demo of a folder, or a new one; ports that are taken by others are replaced.

    `UsageError` when the folder holds a demo of another size: its records would all change.
    """
    data_folder.make(folder)
    mark = _read_mark(folder)
    wanted = students or (mark["students"] if mark else DEFAULT_DISTRICTS[0].students)
    if mark and wanted != mark["students"]:
        raise UsageError(
            f"{folder} holds a demo of {mark['students']} students. Add --fresh to start over with "
            f"{wanted}, or name another folder with --data-dir."
        )
    kept: dict[str, int] = mark["ports"] if mark else {}
    ports = {d.name: _port(kept.get(d.name)) for d in DEFAULT_DISTRICTS}
    demo = Demo(wanted, ports)
    (folder / MARK).write_text(json.dumps(asdict(demo)), encoding="utf-8")
    return demo


def remove_demo(folder: Path) -> None:
    """Remove the folder of an earlier demo; refuse any other folder."""
    if not folder.exists():
        return
    if not (folder / MARK).exists():
        raise UsageError(f"{folder} is not the folder of a demo, so --fresh does not remove it.")
    with data_folder.held(folder):
        shutil.rmtree(folder)


def write_config(folder: Path, spec: SandboxSpec, districts: Mapping[str, RunningDistrict]) -> Path:
    """Write the configuration that leads to a running sandbox, and return its path."""
    path = folder / CONFIG
    path.write_text(
        _HEAD + "".join(provider_toml(d, districts[d.name], burst=True) for d in spec.districts),
        encoding="utf-8",
    )
    return path


def provider_toml(spec: DistrictSpec, running: RunningDistrict, *, burst: bool) -> str:
    """Return the table of a sandbox's district for sisgate.toml."""
    base = (running.oneroster_base or "").removeprefix(running.url)
    text = _PROVIDER.format(
        name=spec.name,
        kind=spec.kind,
        limit=spec.rate or "off",
        burst=spec.rate.calls if spec.rate else 1,
        token_url=running.token_url,
        base_path=f'base_path = "{base}"\n' if base else "",
        url=running.url,
    )
    if burst and spec.rate:
        return text
    kept = [
        line for line in text.splitlines() if not line.startswith(("burst", "# The whole", "# may"))
    ]
    return "\n".join(kept) + "\n"


def _read_mark(folder: Path) -> dict[str, Any] | None:
    try:
        mark = json.loads((folder / MARK).read_text("utf-8"))
        return {"students": int(mark["students"]), "ports": dict(mark["ports"])}
    except FileNotFoundError:
        if any(folder.iterdir()):
            raise ConfigurationError(
                f"{folder} holds something else than a demo. Name another folder with --data-dir."
            ) from None
        return None
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(
            f"{folder / MARK} cannot be read. Start over with --fresh."
        ) from None


def _scaled(district: DistrictSpec, students: int) -> int:
    return max(1, round(district.students * students / DEFAULT_DISTRICTS[0].students))


def _port(kept: int | None) -> int:
    return kept if kept is not None and port_is_free(kept) else free_port()
