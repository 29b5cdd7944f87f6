"""`sisgate alerts`: what fires, who looks after it, silences, channels."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from sisgate.cli.app import Commands
from sisgate.cli.exits import ExitCode
from sisgate.cli.following import going_on
from sisgate.cli.formats import figures_text, moment
from sisgate.cli.invocation import Invocation, user_name
from sisgate.cli.params import OfProvider, Reason, time_ahead
from sisgate.cli.tables import Columns
from sisgate.clock import SystemClock, poll_until

if TYPE_CHECKING:
    from sisgate.gateway import AlertStatus

app = Commands("alerts", "What fires, who looks after it, silences, channels.", panel="Look")

TEST_SECONDS = 30.0
"""How long a test waits for a worker to send it."""

COLOURS = {"critical": "bold red", "warning": "yellow", "info": "cyan"}

OneAlert = Annotated[
    str, typer.Argument(metavar="ALERT", help="Id of an alert, or the beginning of one.")
]


@app.add("sisgate alerts list", "sisgate alerts list --all --json", name="list")
def list_all(
    invocation: Invocation,
    provider: OfProvider = None,
    ended: Annotated[bool, typer.Option("--all", help="Also those that have ended.")] = False,
) -> None:
    """List alerts, the worst first."""
    states = ("pending", "firing", "acknowledged", "resolved") if ended else ()
    found = invocation.gateway.alerts.list(states=states, provider=provider)
    invocation.output.table(
        found,
        {
            "alert": "id",
            "state": "state",
            "severity": _severity,
            "subject": "subject",
            "rule": "rule",
            "since": "since",
            "what": _what,
        },
        empty="Nothing fires.",
    )


@app.add("sisgate alerts silences")
def silences(invocation: Invocation) -> None:
    """List the silences in force."""
    found = invocation.gateway.alerts.silences()
    columns: Columns = {
        "silence": "id", "rule": "rule", "provider": "provider", "until": "until",
        "by": "set_by", "why": "reason",
    }  # fmt: skip
    invocation.output.table(found, columns, empty="Nothing is silent.")


@app.add("sisgate alerts show al_3f8a")
def show(invocation: Invocation, alert: OneAlert) -> None:
    """Show everything about an alert."""
    alerts = invocation.gateway.alerts
    found = alerts.get(alert)
    silent = [each for each in alerts.silences() if each.covers(found)]
    late = found.undelivered
    acknowledged = f"by {found.acknowledged_by}" if found.acknowledged_by else None
    invocation.output.facts(
        [
            ("alert", found.id),
            ("state", found.state),
            ("severity", _severity(found)),
            ("rule", found.rule),
            ("subject", found.subject),
            ("what", found.message),
            ("at fault", found.culprit),
            ("do", found.remedy),
            ("evidence", figures_text(found.evidence)),
            ("since", found.since),
            ("fired", found.fired_at),
            ("acknowledged", found.acknowledged_at),
            ("", acknowledged),
            ("note", found.note),
            ("resolved", found.resolved_at),
            ("fired so often", found.times if found.times > 1 else None),
            ("told", f"{found.told} at {moment(found.told_at)}" if found.told_at else None),
            ("held down until", found.held_until),
            ("channels", ", ".join(e for e in found.channels if e not in late) or None),
            ("not sent yet to", f"{', '.join(late)} (`sisgate alerts channels`)" if late else None),
            ("silent until", silent[0].until if silent else None),
        ],
        json=found,
    )


@app.add('sisgate alerts ack al_3f8a --note "asked the district"')
def ack(
    invocation: Invocation,
    alert: OneAlert,
    note: Annotated[str | None, typer.Option("--note", help="What you do about it.")] = None,
) -> None:
    """Acknowledge an alert: no more messages until it has ended."""
    found = invocation.gateway.alerts.ack(alert, actor=user_name(), note=note)
    text = f"{found.id} is acknowledged by {found.acknowledged_by}."
    invocation.output.result(found, text)


@app.add(
    "sisgate alerts silence --provider powerschool --until 2h",
    'sisgate alerts silence --rule quota --until 1d --reason "big import"',
)
def silence(
    invocation: Invocation,
    until: Annotated[datetime, time_ahead("When it ends", "--until")],
    rule: Annotated[str | None, typer.Option("--rule", help="Only of this rule.")] = None,
    provider: OfProvider = None,
    reason: Reason = None,
) -> None:
    """Send no messages of a rule, or of a provider, until a time."""
    made = invocation.gateway.alerts.silence(
        until, rule=rule, provider=provider, actor=user_name(), reason=reason
    )
    text = f"Silent until {moment(made.until)}. `sisgate alerts unsilence {made.id}` ends it."
    invocation.output.result(made, text)


@app.add("sisgate alerts unsilence si_1c2d3e4f")
def unsilence(
    invocation: Invocation,
    silence: Annotated[str, typer.Argument(metavar="SILENCE", help="Id of a silence.")],
    reason: Reason = None,
) -> None:
    """End a silence now."""
    invocation.gateway.alerts.unsilence(silence, actor=user_name(), reason=reason)
    invocation.output.result({"ended": silence}, f"{silence} has ended.")


@app.add("sisgate alerts channels")
def channels(invocation: Invocation) -> None:
    """List channels: where their URLs are, and what waits to be sent."""
    found = invocation.gateway.alerts.channels()
    invocation.output.table(
        found,
        {
            "channel": "name",
            "URL in": "place",
            "from": "least",
            "waiting": "waiting",
            "last error": "last_error",
        },
        empty="No channels. Add a [alerts.channels.NAME] table to the configuration.",
    )


@app.add("sisgate alerts test ops")
def test(
    invocation: Invocation,
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="Name of a channel.")],
) -> None:
    """Let a worker send a test message to a channel, and wait for it."""
    alerts = invocation.gateway.alerts
    number = alerts.test(channel, actor=user_name())
    results: list[tuple[bool, str | None]] = []

    def is_over() -> bool:
        results[:] = [alerts.was_sent(number)]
        return results[0][0] or results[0][1] is not None

    with going_on("The message goes on: `sisgate alerts channels` shows what waits."):
        poll_until(is_over, clock=SystemClock(), timeout_seconds=TEST_SECONDS, every_seconds=0.5)
    is_sent, error = results[0]
    why = error or f"no worker has sent it within {TEST_SECONDS:.0f} s; it will be sent"
    text = f"{channel} has the message." if is_sent else f"{channel} does not have it: {why}."
    invocation.output.result({"channel": channel, "sent": is_sent, "error": error}, text)
    if not is_sent:
        raise typer.Exit(ExitCode.FAILED)


def _what(alert: AlertStatus) -> str:
    """Return what an alert says, and whether nothing is told of it yet."""
    held = f" (held down until {moment(alert.held_until)})" if alert.held_until else ""
    return f"{alert.message}{held}"


def _severity(alert: AlertStatus) -> Text:
    return Text(alert.severity.value, COLOURS[alert.severity.value])
