"""Forms of actions: what they ask, and what they say will happen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sisgate.console.rooms import View
from sisgate.errors import SisgateError


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

    def answered(self, form: Mapping[str, str]) -> FormField:
        """Return it with what was typed; what the page says for itself stays as it is now."""
        if self.kind == "hidden":
            return self
        return replace(self, value=form.get(self.name, ""))


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


def asked_again(view: View, form: Mapping[str, str], error: SisgateError) -> View:
    """Return the page of a form with what was typed, and what is wrong with it."""
    name, values = error.detail.get("field"), dict(view.values)
    text = error.message.removeprefix(f"{name}: ")
    fields = [each.answered(form) for each in values.get("fields", ())]
    shown = {each.name for each in fields if each.kind != "hidden"}
    values |= {
        "fields": fields,
        "mistake": {
            "field": name if name in shown else None, "text": text[:1].upper() + text[1:],
        },
    }  # fmt: skip
    if "asked" in values:
        values["asked"] = {each: form.get(each, "") for each in values["asked"]}
    return replace(view, values=values)
