"""Verdicts of the service. Pure."""

from sisgate.client.values import Json, moment
from sisgate.verdict.finding import Certainty, Finding, Party, Severity, Verdict


def verdict_of(document: Json) -> Verdict:
    """Return how something stands, and why."""
    at = moment(document["at"])
    assert at is not None
    findings = [_finding(each) for each in document["findings"]]
    return Verdict(document["subject"], at, findings, document["figures"])


def _finding(document: Json) -> Finding:
    culprit = document["culprit"]
    return Finding(
        document["cause"], Party(culprit["kind"], culprit["name"]),
        Severity[document["severity"].upper()], Certainty[document["certainty"].upper()],
        document["message"], document["remedy"], document["evidence"], document["provider"],
    )  # fmt: skip
