"""Processor time of processes with all their children, which is alike on a busy machine."""

import contextlib

import psutil


def processor_seconds(*roots: int | None) -> float:
    """Return the processor time so far of processes and all below them, also of ended ones."""
    total = 0.0
    for root in filter(None, roots):
        process = psutil.Process(root)
        for each in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                total += sum(each.cpu_times()[:4])  # of its own, and of its children that ended
    return total


def server_of(name: str) -> int | None:
    """Return the first process of a server that this process has started, None without one."""
    below = psutil.Process().children(recursive=True)
    return next((each.pid for each in below if each.name().startswith(name)), None)
