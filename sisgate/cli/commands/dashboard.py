"""`sisgate dashboard`: the fleet at a glance, as the overview of the console."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.text import Text

from sisgate.cli.app import Commands
from sisgate.cli.formats import counted, duration, number
from sisgate.cli.invocation import Invocation
from sisgate.cli.tables import Columns
from sisgate.domain.sentences import as_sentence

if TYPE_CHECKING:
    from sisgate.domain.priorities import Priority
    from sisgate.gateway import Attention, Dashboard

app = Commands()

COLOURS = {"critical": "bold red", "warning": "yellow"}


@app.add("sisgate dashboard", "sisgate dashboard --json", panel="Look")
def dashboard(invocation: Invocation) -> None:
    """Show what needs attention, the work, the processes, and the busiest providers."""
    output, board = invocation.output, invocation.gateway.fleet.dashboard()
    output.facts(_rows(board), json=board)
    for text in board.unknown:
        output.warn(text)
    if output.as_json:
        return
    now = invocation.clock.now()
    providers: Columns = {
        "provider": lambda load: load.overview.name,
        "used": lambda load: load.overview.windows[0].used if load.overview.windows else None,
        "left": lambda load: load.overview.windows[0].left if load.overview.windows else None,
        "queued": lambda load: sum(load.backlog.values()),
        "drained": lambda load: (
            f"in {duration((load.drained_at - now).total_seconds())}" if load.drained_at else None
        ),
        "no calls": lambda load: load.hold.reason if load.hold else None,
    }
    output.show("")
    output.table(board.providers, providers, empty="No provider is configured.")
    if board.provider_count > len(board.providers):
        output.note(
            f"The busiest {len(board.providers)} of {number(board.provider_count)}: "
            "`sisgate providers` lists all."
        )


def _rows(board: Dashboard) -> list[tuple[str, object]]:
    needed: list[tuple[str, object]] = [("attention", _needed(each)) for each in board.attention]
    jobs = ", ".join(f"{number(count)} {state}" for state, count in board.live_jobs.items())
    calls = f"{counted(board.calls, 'call')}, {number(board.failed)} failed, "
    return [
        *(needed or [("attention", "Nothing needs attention.")]),
        ("jobs", jobs or "none under way"),
        ("queued", _queued(board.backlog)),
        ("last hour", f"{calls}{number(board.throttled)} throttled"),
        ("workers", _workers(board)),
        ("beats", board.beats),
        ("silent", board.silent or None),
    ]


def _needed(each: Attention) -> Text:
    sentence = as_sentence(each.message, each.provider)
    return Text.assemble((each.level, COLOURS[each.level]), f": {sentence} {each.remedy}")


def _queued(backlog: Mapping[Priority, int] | None) -> str | None:
    if backlog is None:
        return None
    by_priority = ", ".join(f"{number(n)} {p.word}" for p, n in backlog.items() if n)
    return f"{counted(sum(backlog.values()), 'call')}{f': {by_priority}' if by_priority else ''}"


def _workers(board: Dashboard) -> str | None:
    if board.workers is None:
        return None
    return f"{board.workers}, {number(board.busy)} of {counted(board.slots or 0, 'slot')} busy"
