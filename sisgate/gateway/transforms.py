"""Trying the rules that change requests and responses, without a call."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sisgate.access.policy import Action
from sisgate.errors import UsageError
from sisgate.gateway.core import Core
from sisgate.gateway.orders import NewRequest
from sisgate.gateway.request_target import target_of
from sisgate.transforms import Transformed, apply_to_request, apply_to_response, rule_of


@dataclass(frozen=True)
class TransformTrial:
    """What a rule makes of a request, and of a response if one was given."""

    provider: str
    rule: str
    request: Mapping[str, Any]
    response: Transformed | None


class Transforms:
    """The transforms of providers, as configured."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def test(
        self,
        request: NewRequest,
        *,
        response: bytes | None = None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> TransformTrial:
        """Return what the rule of a request makes of it, and of a response's body.

        Nothing is accepted or called. Raises `TransformFailed` with rule and place, and
        `UsageError` if no rule is for the request.
        """
        core, provider = self._core, request.provider
        config = core.provider(provider)
        core.access.require(Action.LOOK, provider)
        target, _ = target_of(request)
        rule = rule_of(config, target["method"], target["path"], request.transform)
        if rule is None:
            what = f"{target['method']} {target['path']}"
            raise UsageError(f"No transform of {provider} is for {what} without being named.")
        changed = apply_to_request(config, rule, target)
        done = None
        if response is not None:
            given = dict(headers or {"content-type": "application/json"})
            done = apply_to_response(config, rule, status, given, response)
        return TransformTrial(provider, rule.name, changed, done)
