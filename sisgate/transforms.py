"""Changing requests and responses by a provider's rules. Pure but for entry points.

A failure names the rule and the place in it, and never a value, which may be a student's.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.metadata import entry_points
from typing import Any

from sisgate.domain.targets import body_of, query_pairs, stored_query
from sisgate.domain.validation import did_you_mean
from sisgate.errors import SisgateError, TransformFailed, UsageError
from sisgate.providers.dialect import Listing, Position
from sisgate.providers.http import HttpResponse
from sisgate.settings import ProviderConfig
from sisgate.settings.transforms import TransformConfig, compiled

GROUP = "sisgate.transformers"
"""Entry points: functions from JSON to JSON."""

NO_BODY = object()


@dataclass(frozen=True)
class Transformed:
    """Headers and body of a response after a rule."""

    headers: Mapping[str, str]
    body: bytes


def rule_of(
    config: ProviderConfig, method: str, path: str, name: str | None
) -> TransformConfig | None:
    """Return the rule for a request: the named one, or the first that fits without being asked.

    `UsageError` if there is no rule of that name, or it is for other requests.
    """
    if name is None:
        fitting = (each for each in config.transforms if not each.asked and each.fits(method, path))
        return next(fitting, None)
    rule = named(config, name)
    if rule is None:
        names = [each.name for each in config.transforms]
        known = ", ".join(names) or "none"
        raise UsageError(
            f"{config.name} has no transform {name!r}. It has: {known}.{did_you_mean(name, names)}"
        )
    if not rule.fits(method, path):
        raise UsageError(f"The transform {name!r} of {config.name} is not for {method} {path}.")
    return rule


def named(config: ProviderConfig, name: str) -> TransformConfig | None:
    """Return the rule of a name, None if there is none."""
    return next((each for each in config.transforms if each.name == name), None)


def apply_to_request(
    config: ProviderConfig, rule: TransformConfig, target: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the target of a request as the rule changes it. It then names the rule."""
    change, done = rule.request, dict(target)
    listing = _listing(config, rule)
    query = list(query_pairs(done["query"]))
    asked = {name for name, _ in query}
    query += [pair for pair in (listing.query if listing else ()) if pair[0] not in asked]
    query = [pair for pair in query if pair[0] not in change.query]
    query += change.query.items()
    done["query"] = stored_query(query)
    if change.headers:
        done["headers"] = {**done.get("headers", {}), **change.headers}
    if change.jmespath is not None or change.python is not None:
        body = body_of(done)
        value = done["json"] if body is None else _parsed(config, rule, "request.jmespath", body)
        value = _through(config, rule, "request", change.jmespath, change.python, value)
        done["json"] = value
        done.pop("body", None)
        if body is not None and "headers" in done:
            done["headers"] = {k: v for k, v in done["headers"].items() if k != "content-type"}
    return done | {"transform": rule.name}


def apply_to_response(
    config: ProviderConfig,
    rule: TransformConfig,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
) -> Transformed:
    """Return headers and body as the rule changes them; a status from 300 on is left alone.

    So is the body where there is none, as after HEAD, or with 204.
    """
    change = rule.response
    if status >= 300:
        return Transformed(headers, body)
    if not body:
        return Transformed({**headers, **change.headers}, body)
    value: Any = NO_BODY
    if change.canonical is not None:
        value = _canonical(config, rule, HttpResponse(status, headers, body))
    if change.jmespath is not None or change.python is not None:
        if value is NO_BODY:
            value = _parsed(config, rule, "response.jmespath", body)
        value = _through(config, rule, "response", change.jmespath, change.python, value)
    headers = {**headers, **change.headers}
    if value is NO_BODY:
        return Transformed(headers, body)
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise _failed(config, rule, "response", "its result is not JSON") from error
    # They were those of the body that the provider sent.
    kept = {name: each for name, each in headers.items() if name not in {"etag", "content-type"}}
    return Transformed({**kept, "content-type": "application/json"}, text.encode())


def _through(
    config: ProviderConfig,
    rule: TransformConfig,
    side: str,
    expression: str | None,
    python: str | None,
    value: Any,
) -> Any:
    if expression is not None:
        value = _search(config, rule, f"{side}.jmespath", expression, value)
    if python is not None:
        value = _call(config, rule, f"{side}.python", python, value)
    return value


def _search(
    config: ProviderConfig, rule: TransformConfig, place: str, expression: str, value: Any
) -> Any:
    from jmespath.exceptions import ArityError, JMESPathError, JMESPathTypeError

    try:
        return compiled(expression).search(value)
    except JMESPathTypeError as error:
        # Its own message holds the value.
        expected = " or ".join(error.expected_types)
        reason = f"{error.function_name}() takes {expected}, and got {error.actual_type}"
    except ArityError as error:
        reason = f"{error.function_name}() has another number of arguments"
    except (JMESPathError, TypeError, ValueError) as error:
        reason = f"it cannot be evaluated ({type(error).__name__})"
    raise _failed(config, rule, place, reason)


def _call(config: ProviderConfig, rule: TransformConfig, place: str, name: str, value: Any) -> Any:
    installed = {point.name: point for point in entry_points(group=GROUP)}
    if name not in installed:
        known = ", ".join(sorted(installed)) or "none"
        reason = f"no transformer {name!r} is installed here; there are: {known}"
        raise _failed(config, rule, place, reason)
    function: Callable[[Any], Any] = installed[name].load()
    try:
        return function(value)
    except Exception as error:
        reason = f"{name} raised {type(error).__name__}"
        raise _failed(config, rule, place, reason) from error


def _canonical(config: ProviderConfig, rule: TransformConfig, response: HttpResponse) -> Any:
    listing, resource = _listing(config, rule), rule.response.canonical
    place = "response.canonical"
    if listing is None or resource is None:
        raise _failed(config, rule, place, "no list of that resource has this path")
    try:
        page = config.dialect.read_page(resource, listing, Position(), response)
    except SisgateError as error:
        raise _failed(config, rule, place, error.message.rstrip(".")) from error
    flaws = [{"row": each.row, "field": each.field, "problem": each.problem, "lost": each.lost}
             for each in page.flaws]  # fmt: skip
    records = [dict(row.data) for row in page.rows]
    return {resource: records, "received": page.received, "flaws": flaws}


def _listing(config: ProviderConfig, rule: TransformConfig) -> Listing | None:
    """Return the list that a canonical rule reads: the first whose path it matches."""
    if rule.response.canonical is None:
        return None
    planned = config.dialect.plan(rule.response.canonical, since=None)
    fitting = (each for each in planned if fnmatchcase(each.path, rule.path))
    return next((each for each in fitting if not each.discovers), None)


def _parsed(config: ProviderConfig, rule: TransformConfig, place: str, body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise _failed(config, rule, place, "the body is not JSON") from None


def _failed(
    config: ProviderConfig, rule: TransformConfig, place: str, reason: str
) -> TransformFailed:
    return TransformFailed(
        f"The transform {rule.name!r} of {config.name} failed at {place}: {reason}. "
        f"`sisgate transform test {config.name} PATH --name {rule.name}` tries it.",
        provider=config.name,
        rule=rule.name,
        place=place,
    )
