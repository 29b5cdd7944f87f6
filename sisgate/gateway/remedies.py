"""What a verdict advises, for a caller who may not do all of it."""

import re
from collections.abc import Mapping
from dataclasses import replace

from sisgate.access.policy import Action, Principal, decide
from sisgate.verdict.finding import Finding, Verdict

COMMAND = re.compile(r"`sisgate ([a-z-]+(?: [a-z-]+)?)")

NEEDS: Mapping[str, Action] = {
    "doctor": Action.CONTROL,
    "resume": Action.CONTROL,
    "breaker": Action.CONTROL,
    "limits set": Action.CONTROL,
    "jobs resolve": Action.CONTROL,
    "quarantine requeue": Action.CONTROL,
    "sync": Action.ENQUEUE,
    "jobs retry": Action.ENQUEUE,
    "jobs cancel": Action.ENQUEUE,
    "keys": Action.KEYS,
    "config apply": Action.ADMINISTER,
    "config rollback": Action.ADMINISTER,
    "audit": Action.ADMINISTER,
}
"""What the commands need that remedies name, as far as it is more than to look."""

WHOLE = frozenset({"doctor"})
"""Commands that need the right for the whole installation."""


def for_caller(verdict: Verdict, principal: Principal) -> Verdict:
    """Return a verdict whose remedies say what takes somebody with more rights."""
    return replace(verdict, findings=[_for_caller(each, principal) for each in verdict.findings])


def _for_caller(finding: Finding, principal: Principal) -> Finding:
    missing = set()
    for command in COMMAND.findall(finding.remedy):
        name = command if command in NEEDS else command.partition(" ")[0]
        action = NEEDS.get(name)
        where = None if name in WHOLE else finding.provider
        if action is not None and not decide(principal, action, where).allowed:
            missing.add(action)
    if not missing:
        return finding
    who = "an admin" if Action.ADMINISTER in missing else "an operator"
    return replace(finding, remedy=f"{finding.remedy} That takes {who}.")
