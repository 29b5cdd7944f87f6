"""Peak memory of single processes, as the kernel counts it."""

import re
from pathlib import Path

import psutil

_HIGH_WATER = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


def peak_bytes(process: psutil.Process) -> int:
    """Return the most resident memory a process ever had (VmHWM; elsewhere what it has now)."""
    status = Path(f"/proc/{process.pid}/status")
    found = _HIGH_WATER.search(status.read_text()) if status.exists() else None
    return int(found[1]) * 1024 if found else int(process.memory_info().rss)
