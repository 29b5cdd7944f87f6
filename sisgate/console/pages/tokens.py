"""Tokens of apps and people: who has which, making and revoking them."""

from datetime import timedelta

from sisgate.console.acts import REASON, FormField, act_view
from sisgate.console.forms import asked_by, number_of
from sisgate.console.rooms import ACTOR, Done, Room, View, Visit
from sisgate.errors import InvalidState
from sisgate.gateway import Action, Role

room = Room()


@room.page("/tokens", Action.ADMINISTER, "installation")
def tokens(visit: Visit) -> View:
    """Show the tokens, without their secrets."""
    every = visit.query.get("all") == "yes"
    values = {"tokens": visit.gateway.tokens.list(every=every), "every": every}
    return View("tokens.html", "Tokens", values)


@room.page("/tokens/new", Action.ADMINISTER, "installation")
def new_form(visit: Visit) -> View:
    """Ask for whom, and what for."""
    roles = [
        (role.value, role.value) for role in (Role.VIEWER, Role.OPERATOR, Role.APP, Role.ADMIN)
    ]
    return act_view(
        "Make a token",
        ["The token is shown once, on the next page."],
        FormField("name", "Name", "Of the app or person.", required=True),
        FormField("role", "Role", kind="select", options=roles),
        FormField("sight", "With payload sight: student data on pages, each look in the audit log",
                  kind="checkbox"),
        FormField("scopes", "Scopes", "PROVIDER, PROVIDER/DATASET, */DATASET or *, with commas.",
                  value="*", required=True),
        FormField("days", "Days until it expires", value="365", required=True),
        REASON, FormField("known", "", kind="hidden", value=str(_known(visit))),
        submit="Make the token", back="/tokens",
    )  # fmt: skip


@room.action("/tokens/new", Action.ADMINISTER, "installation")
def new(visit: Visit) -> View:
    """Make it and show it, this once; `InvalidState` for a form that was sent before.

    No redirect could carry the secret, so reloading the page sends the form again.
    """
    form = visit.form
    if number_of(form.get("known", ""), "known") != _known(visit):
        raise InvalidState(
            "Nothing was done: a token was made after this form was opened, with this form or by "
            "someone else. It is among the tokens. For another one, open the form again."
        )
    sight = [Role.SIGHT.value] if form.get("sight") == "yes" else []
    with asked_by("days"):
        info = visit.gateway.tokens.add(
            form.get("name", "").strip(), [form.get("role", ""), *sight],
            scopes=[each.strip() for each in form.get("scopes", "").split(",") if each.strip()],
            life=timedelta(days=number_of(form.get("days", ""), "days")), actor=ACTOR,
            reason=visit.reason,
        )  # fmt: skip
    return View("token.html", "The new token", {"it": info})


def _known(visit: Visit) -> int:
    """Return how many tokens were ever made."""
    return len(visit.gateway.tokens.list(every=True))


@room.page("/tokens/{token}/revoke", Action.ADMINISTER, "installation")
def revoke_form(visit: Visit) -> View:
    """Ask before revoking one."""
    token = visit.places["token"]
    return act_view(
        f"Revoke token {token[:10]}",
        ["It ends for the whole fleet within a second, with all sessions begun with it."],
        REASON, submit="Revoke", back="/tokens", danger=True,
    )  # fmt: skip


@room.action("/tokens/{token}/revoke", Action.ADMINISTER, "installation")
def revoke(visit: Visit) -> Done:
    """Revoke one."""
    info = visit.gateway.tokens.revoke(visit.places["token"], actor=ACTOR, reason=visit.reason)
    return Done("/tokens", f"The token of {info.name} is revoked.")
