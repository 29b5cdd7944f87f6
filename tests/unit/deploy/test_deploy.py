"""deploy/: every expression parses, and asks for metrics, labels and values that there are."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from sisgate.domain.alert_states import AlertSeverity, AlertState
from sisgate.domain.call_results import CallResult
from sisgate.domain.priorities import Priority
from sisgate.domain.states import JobState
from sisgate.domain.webhook_events import DeliveryResult, WebhookState
from sisgate.monitoring.catalogue import CATALOGUE

DEPLOY = Path(__file__).parents[3] / "deploy"
RULES = yaml.safe_load((DEPLOY / "prometheus" / "sisgate.rules.yml").read_text("utf-8"))
DASHBOARD = json.loads((DEPLOY / "grafana" / "sisgate.json").read_text("utf-8"))
LABELS = {name: metric.labels for metric in CATALOGUE for name in metric.samples}
HISTOGRAMS = {f"{m.name}_bucket" for m in CATALOGUE if m.kind == "histogram"}
VALUES = {
    ("sisgate_calls_total", "result"): {each.value for each in CallResult},
    ("sisgate_jobs", "state"): {each.value for each in JobState},
    ("sisgate_webhooks", "state"): {each.value for each in WebhookState},
    ("sisgate_alerts", "state"): {each.value for each in AlertState},
    ("sisgate_alerts", "severity"): {each.value for each in AlertSeverity},
    ("sisgate_oldest_waiting_seconds", "priority"): {each.word for each in Priority},
    ("sisgate_ledger_seconds_bucket", "transaction"): {"acceptance", "claim", "record"},
    ("sisgate_schedule_delay_seconds_bucket", "step"): {"accepted", "begun"},
    ("sisgate_webhook_delivery_seconds_count", "result"): {each.value for each in DeliveryResult},
    ("sisgate_alive", "kind"): {"worker", "planner", "beat"},
    ("sisgate_breaker_state", "state"): {"closed", "open", "half-open"},
    ("sisgate_breaker_transitions_total", "state"): {"closed", "open", "half-open"},
}
RECORDED = {
    rule["record"] for group in RULES["groups"] for rule in group["rules"] if "record" in rule
}


def rules() -> Iterator[dict[str, Any]]:
    """The rules of all groups."""
    for group in RULES["groups"]:
        yield from group["rules"]


def expressions() -> Iterator[tuple[str, str]]:
    """Each expression with where it stands."""
    for rule in rules():
        yield rule.get("alert") or rule["record"], rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for annotation in DASHBOARD["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]


def parsed(text: str) -> promql_parser.Expr:
    """The expression, with Grafana's variables replaced."""
    return promql_parser.parse(text.replace("$__rate_interval", "5m").replace("$provider", ".*"))


@dataclass(frozen=True)
class Selector:
    """A metric that an expression asks for, and its conditions on labels."""

    name: str
    matchers: tuple[tuple[str, str], ...]


def selectors(expr: Any) -> Iterator[Selector]:
    """What an expression asks for."""
    if isinstance(expr, promql_parser.MatrixSelector):
        expr = expr.vector_selector
    if isinstance(expr, promql_parser.VectorSelector):
        found = tuple((each.name, each.value) for each in expr.matchers.matchers)
        yield Selector(expr.name or "", found)
    for part in ("lhs", "rhs", "expr"):
        if hasattr(expr, part):
            yield from selectors(getattr(expr, part))
    for argument in getattr(expr, "args", ()):
        yield from selectors(argument)


def groupings(expr: Any) -> Iterator[tuple[list[str], set[str]]]:
    """The labels that an expression sums by, with those that there are within."""
    if isinstance(expr, promql_parser.AggregateExpr) and expr.modifier is not None:
        inner: set[str] = set()
        for each in selectors(expr):
            inner |= set(LABELS.get(each.name, ())) | {"provider"}
            inner |= {"le"} if each.name in HISTOGRAMS else set()
        yield list(expr.modifier.labels), inner
    for part in ("lhs", "rhs", "expr"):
        if hasattr(expr, part):
            yield from groupings(getattr(expr, part))
    for argument in getattr(expr, "args", ()):
        yield from groupings(argument)


@pytest.mark.parametrize(("where", "text"), list(expressions()))
def test_every_expression_asks_for_metrics_labels_and_values_that_exist(
    where: str, text: str
) -> None:
    """A renamed metric fails here, and so does a result that is no more."""
    expr = parsed(text)
    found = list(selectors(expr))
    assert found, where
    for selector in found:
        assert selector.name in set(LABELS) | RECORDED, where
        for label, value in selector.matchers:
            assert label in LABELS[selector.name], where
            values = VALUES.get((selector.name, label))
            assert values is None or set(value.split("|")) <= values, where
    for labels, inner in groupings(expr):
        assert set(labels) <= inner, where


def test_templates_name_labels_that_their_alert_has() -> None:
    """Else Prometheus writes nothing in their place."""
    for rule in rules():
        if "alert" not in rule:
            continue
        texts = " ".join(rule["annotations"].values())
        told = set(re.findall(r"\$labels\.(\w+)", texts))
        assert told <= labels_of(parsed(rule["expr"])), rule["alert"]
        assert set(rule["labels"]) == {"severity"}
        assert set(rule["annotations"]) == {"summary", "description"}


def labels_of(expr: Any) -> set[str]:
    """The labels that are left at the end of an expression."""
    if isinstance(expr, promql_parser.AggregateExpr):
        return set(expr.modifier.labels) if expr.modifier else set()
    if isinstance(expr, promql_parser.VectorSelector):
        return set(LABELS.get(expr.name or "", ("provider",)))
    found: set[str] = set()
    for part in ("lhs", "expr"):
        if hasattr(expr, part):
            found |= labels_of(getattr(expr, part))
    for argument in getattr(expr, "args", ()):
        found |= labels_of(argument)
    return found


def test_rules_name_commands_that_exist() -> None:
    """As the reference of the command line has them."""
    texts = " ".join(rule["annotations"]["description"] for rule in rules() if "alert" in rule)
    commands = set(re.findall(r"`(sisgate (?:[a-z]+ ?)+)", texts))
    assert commands
    reference = (DEPLOY.parent / "docs" / "reference" / "cli.md").read_text("utf-8")
    for command in commands:
        assert re.search(rf"^#+ `?{command.strip()}`?$", reference, re.MULTILINE), command


def test_names_of_alerts_are_unique_and_ours() -> None:
    """One name, one meaning."""
    names = [rule["alert"] for rule in rules() if "alert" in rule]
    assert len(names) == len(set(names)) >= 20
    assert all(name.startswith("Sisgate") for name in names)


def test_panels_do_not_lie_on_each_other() -> None:
    """Grafana would move them."""
    taken: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        place: Mapping[str, int] = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert x < 24
                assert (x, y) not in taken, panel["title"]
                taken[x, y] = panel["title"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_every_metric_of_the_catalogue_is_on_the_dashboard_or_in_a_rule() -> None:
    """Or here, with why it is not."""
    unused = {
        "sisgate_breaker_pinned", "sisgate_endpoint_ejected", "sisgate_endpoint_unwell",
        "sisgate_limit_blocked_seconds", "sisgate_provider_paused", "sisgate_requests_shared",
        "sisgate_keys", "sisgate_webhook_messages",
    }  # fmt: skip
    used = {s.name for _, text in expressions() for s in selectors(parsed(text))}
    used |= {re.sub(r"_(bucket|count|sum|total)$", "", name) for name in used}
    used |= set(re.findall(r"sisgate_\w+", json.dumps(DASHBOARD["templating"])))
    assert {metric.name for metric in CATALOGUE} - used == unused
