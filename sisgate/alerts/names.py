"""How the apps that an alert names are named for a caller, who may see only one. Pure."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sisgate.alerts.lifecycle import AlertStatus

APP, BY_APP = "app", "_by_app"
"""Evidence that names an app, and the end of the names of evidence with counts by app.

What an alert says names no app besides those.
"""


def _summed(text: str, name: str) -> str:
    """Return a text with the counts of one name, in a list of names with counts, as one.

    >>> _summed("others 1,010, portal 7, others 5; and then", "others")
    'others 1,015, portal 7; and then'
    """
    count = rf"(?<!\w){re.escape(name)} (\d[\d,]*(?<!,))(?!\w|%)"
    counts = [int(each.replace(",", "")) for each in re.findall(count, text)]
    if len(counts) < 2:
        return text
    first = re.search(count, text)
    assert first is not None
    rest = re.sub(f", {count}", "", text[first.end() :])
    return f"{text[: first.start()]}{name} {sum(counts):,}{rest}"


def renamed(alert: AlertStatus, name_of: Callable[[str], str]) -> AlertStatus:
    """Return an alert with its apps named by `name_of`; counts of the same name are summed."""
    evidence: dict[str, Any] = dict(alert.evidence)
    apps: set[str] = set()
    for name, value in alert.evidence.items():
        if name == APP:
            apps.add(value)
            evidence[name] = name_of(value)
        elif name.endswith(BY_APP):
            apps.update(value)
            sums: Counter[str] = Counter()
            for app, count in value.items():
                sums[name_of(app)] += count
            evidence[name] = dict(sums)
    if all(name_of(app) == app for app in apps):
        return alert
    # Longest first: a name may begin with another one.
    either = "|".join(re.escape(app) for app in sorted(apps, key=len, reverse=True))
    names = re.compile(rf"(?<!\w)(?:{either})(?!\w)")

    new = {name_of(app) for app in apps}

    def told(text: str) -> str:
        text = names.sub(lambda found: name_of(found[0]), text)
        for name in new:
            text = _summed(text, name)
        return text

    return replace(
        alert, culprit=told(alert.culprit), message=told(alert.message),
        remedy=told(alert.remedy), evidence=evidence,
    )  # fmt: skip
