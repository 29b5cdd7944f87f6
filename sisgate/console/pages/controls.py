"""What an operator does to a provider: pause, limits, breakers, keys, a sync now."""

from urllib.parse import quote

from sisgate.console.acts import REASON, FormField, act_view
from sisgate.console.forms import asked_by, time_of
from sisgate.console.rooms import ACTOR, Done, Room, View, Visit
from sisgate.gateway import Action

room = Room()

UNTIL = FormField(
    "until", "Until",
    "A duration such as 30m or 2h, or a time such as 2026-12-01T07:00 (UTC). Empty: until somebody "
    "ends it.",
)  # fmt: skip
LATER = "Redis cannot be reached: it is stored, and the fleet follows once Redis is back."


def _back(visit: Visit) -> str:
    return f"/providers/{quote(visit.places['provider'], safe='')}"


@room.page("/providers/{provider}/pause", Action.CONTROL, "provider")
def pause_form(visit: Visit) -> View:
    """Ask until when to pause."""
    name = visit.places["provider"]
    queue = visit.gateway.providers.overview(name).providers[0].waiting
    waiting = f"{queue:,} queued calls wait" if queue is not None else "What is queued waits"
    return act_view(
        f"Pause {name}",
        [
            (f"No call is made to {name} until the pause ends. {waiting} and keep their places; "
            "calls in flight finish."),
        ],
        UNTIL, REASON, submit="Pause", back=_back(visit),
    )  # fmt: skip


@room.action("/providers/{provider}/pause", Action.CONTROL, "provider")
def pause(visit: Visit) -> Done:
    """Pause a provider."""
    name = visit.places["provider"]
    until = time_of(visit.form, "until", visit.now)
    control = visit.gateway.providers.control(name)
    with asked_by("until"):
        control.pause(until, actor=ACTOR, reason=visit.reason)
    ends = f"until {until:%Y-%m-%d %H:%M} UTC" if until else "until somebody resumes it"
    return Done(_back(visit), f"{name} is paused {ends}." if control.holds_now else LATER)


@room.page("/providers/{provider}/resume", Action.CONTROL, "provider")
def resume_form(visit: Visit) -> View:
    """Ask for the reason."""
    name = visit.places["provider"]
    return act_view(
        f"Resume {name}", [f"Calls to {name} go on within its limits, the most urgent first."],
        REASON, submit="Resume", back=_back(visit),
    )  # fmt: skip


@room.action("/providers/{provider}/resume", Action.CONTROL, "provider")
def resume(visit: Visit) -> Done:
    """End a pause."""
    name = visit.places["provider"]
    control = visit.gateway.providers.control(name)
    was_paused = control.resume(actor=ACTOR, reason=visit.reason)
    text = f"{name} goes on." if was_paused else f"{name} was not paused."
    return Done(_back(visit), text if control.holds_now else LATER)


@room.page("/providers/{provider}/limits", Action.CONTROL, "provider")
def limits_form(visit: Visit) -> View:
    """Ask for the limits."""
    name = visit.places["provider"]
    it = visit.gateway.providers.overview(name).providers[0]
    configured = ", ".join(map(str, it.limits)) or "no limit"
    now = ", ".join(str(window.rate) for window in it.windows)
    return act_view(
        f"Limits of {name}",
        [
            f"Configured: {configured}. In force: {now or configured}.",
            ("A change holds at once for the whole fleet, and until it is changed again. A higher "
            "limit than the provider's own earns refusals."),
        ],
        FormField("limits", "Limits", "Such as 500/h, several with commas. Empty: as configured.",
                  value=now),
        REASON, submit="Set limits", back=_back(visit),
    )  # fmt: skip


@room.action("/providers/{provider}/limits", Action.CONTROL, "provider")
def set_limits(visit: Visit) -> Done:
    """Set the limits of the whole fleet."""
    name = visit.places["provider"]
    texts = [each.strip() for each in visit.form.get("limits", "").split(",") if each.strip()]
    control = visit.gateway.providers.control(name)
    with asked_by("limits"):
        changed = control.set_limits(texts or None, actor=ACTOR, reason=visit.reason)
    now = ", ".join(texts) or "as configured"
    text = f"The limits of {name} are {now}." if changed else f"The limits were {now} already."
    return Done(_back(visit), text if control.holds_now else LATER)


@room.page("/providers/{provider}/breakers", Action.CONTROL, "provider")
def breakers_form(visit: Visit) -> View:
    """Ask which breaker to pin, and how."""
    name = visit.places["provider"]
    urls = [endpoint.url for endpoint in visit.gateway.providers.get(name).endpoints]
    endpoints = [("", "all endpoints"), *((str(n), url) for n, url in enumerate(urls, start=1))]
    states = (
        ("auto", "by itself: opens when calls fail, closes when they succeed"),
        ("open", "open: no calls"),
        ("close", "closed: calls, whatever comes of them"),
        ("half-open", "half-open: one call at a time tries"),
    )
    return act_view(
        f"Breakers of {name}",
        ["A breaker that is pinned stays so whatever the results of its calls, until a time."],
        FormField("endpoint", "Endpoint", kind="select", options=endpoints),
        FormField("state", "State", kind="select", options=states),
        UNTIL, REASON, submit="Set breakers", back=_back(visit),
    )  # fmt: skip


@room.action("/providers/{provider}/breakers", Action.CONTROL, "provider")
def set_breakers(visit: Visit) -> Done:
    """Pin breakers, or leave them to themselves."""
    name, form = visit.places["provider"], visit.form
    breakers = visit.gateway.providers.breakers(name)
    with asked_by("until"):
        changed = breakers.set(
            form.get("state", "auto"), form.get("endpoint") or None,
            until=time_of(form, "until", visit.now), actor=ACTOR, reason=visit.reason,
        )  # fmt: skip
    text = f"Changed: {', '.join(changed)}." if changed else "They were so already."
    return Done(_back(visit), text if breakers.holds_now else LATER)


@room.page("/providers/{provider}/rotate", Action.KEYS, "provider")
def rotate_form(visit: Visit) -> View:
    """Ask which slot to rotate."""
    name = visit.places["provider"]
    slots = [(each, each) for each in ("primary", "secondary", "backup")]
    return act_view(
        f"Rotate keys of {name}",
        [
            ("The staged key, or one from the provider's source, is tried with one real call, then "
            "used; the old one stays valid for the overlap. Calls go on meanwhile."),
        ],
        FormField("slot", "Slot", kind="select", options=slots),
        REASON, submit="Rotate", back=_back(visit),
    )  # fmt: skip


@room.action("/providers/{provider}/rotate", Action.KEYS, "provider")
def rotate(visit: Visit) -> Done:
    """Begin a rotation."""
    name, slot = visit.places["provider"], visit.form.get("slot", "primary")
    visit.gateway.keys.of(name).rotate(slot=slot, actor=ACTOR, reason=visit.reason)
    return Done(_back(visit), f"The {slot} key of {name} is being rotated.")
