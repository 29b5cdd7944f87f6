"""Forms of actions: what they ask, and what they say will happen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sisgate.console.rooms import View


@dataclass(frozen=True)
class FormField:
    """One question. `options` are pairs of value and label, for `select`."""

    name: str
    label: str
    hint: str = ""
    kind: Literal["text", "select", "textarea", "hidden", "checkbox"] = "text"
    value: str = ""
    options: Sequence[tuple[str, str]] = ()
    required: bool = False


REASON = FormField("reason", "Reason", "For the audit log.")


def act_view(
    title: str,
    consequences: Sequence[str],
    *fields: FormField,
    submit: str,
    back: str,
    path: str = "",
    danger: bool = False,
) -> View:
    """Return the page of an action: its consequences, its questions, and the way back.

    `path` is the action's if it is not that of the page.
    """
    values = {
        "consequences": consequences, "fields": fields, "submit": submit, "back": back,
        "path": path, "danger": danger,
    }  # fmt: skip
    return View("act.html", title, values)
