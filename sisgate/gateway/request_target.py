"""What a request asks of its provider, checked: method, path, query, headers and body."""

from collections.abc import Mapping
from json import dumps
from typing import Any, get_args

from sisgate.domain.choices import Method, OnUnavailable
from sisgate.domain.headers import usable_headers
from sisgate.domain.targets import stored_body, stored_query
from sisgate.domain.validation import chosen, usable_path
from sisgate.errors import UsageError
from sisgate.gateway.availability import on_unavailable_of
from sisgate.gateway.orders import NewRequest
from sisgate.settings import ProviderConfig


def target_of(request: NewRequest) -> tuple[dict[str, Any], OnUnavailable]:
    """Return the checked target and `on_unavailable`; `UsageError` for invalid values."""
    method, instead = request.method.upper(), on_unavailable_of(request.on_unavailable)
    method = chosen("method", get_args(Method), method)
    if instead == "stale" and method != "GET":
        raise UsageError(f"on_unavailable='stale' is for GET only: a {method} has no old response.")
    target: dict[str, Any] = {
        "method": method,
        "path": usable_path(request.path),
        "query": stored_query(request.query),
        "json": request.json,
    }
    if request.body is not None:
        if request.json is not None:
            raise UsageError("A request has json or a body, not both.")
        target["body"] = stored_body(request.body)
    if headers := usable_headers(request.headers):
        target["headers"] = headers
    _refuse_unless_json(target)
    return target, instead


def transformed(
    config: ProviderConfig, request: NewRequest, target: dict[str, Any]
) -> dict[str, Any]:
    """Return a target as the provider's rule for its path, or the one asked for, changes it."""
    if not config.transforms and request.transform is None:
        return target
    from sisgate.transforms import apply_to_request, rule_of

    rule = rule_of(config, target["method"], target["path"], request.transform)
    return target if rule is None else apply_to_request(config, rule, target)


def _refuse_unless_json(target: Mapping[str, Any]) -> None:
    try:
        text = dumps(target, allow_nan=False, ensure_ascii=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"The request cannot be written as JSON: {error}.") from None
    if "\\u0000" in text:
        raise UsageError("The request holds a NUL character, which cannot be stored.")
