"""Whose trace a job belongs to: the W3C Trace Context of who asks for it (Recommendation, 2021).

A job keeps the `traceparent` under which it was accepted; workers continue that trace, if traces
are on there. OpenTelemetry is not imported here: a process that uses it has done so itself.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

HEADER = "traceparent"

_FORM = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
_OF_CALLER: ContextVar[str | None] = ContextVar("sisgate.traceparent", default=None)


def checked(text: str | None) -> str | None:
    """Return a `traceparent` of version 00, None for anything else: a bad one is no error.

    >>> checked("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    >>> checked("00-" + 32 * "0" + "-b7ad6b7169203331-01")
    """
    return text if text is not None and _FORM.fullmatch(text) else None


def trace_id_of(traceparent: str | None) -> str | None:
    """Return the id of the trace, None without one."""
    match = _FORM.fullmatch(traceparent or "")
    return match[1] if match else None


@contextmanager
def in_trace_of(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[None]:
    """Let jobs that are accepted within belong to the trace of an ASGI request's headers."""
    values = [value for name, value in headers if name == b"traceparent"]
    told = checked(values[0].decode("latin-1")) if len(values) == 1 else None
    if told is None:
        yield
        return
    token = _OF_CALLER.set(told)
    try:
        yield
    finally:
        _OF_CALLER.reset(token)


def current() -> str | None:
    """Return the `traceparent` of this moment: that of the span that is open, else the caller's."""
    # A look into a dictionary where OpenTelemetry is not used.
    trace = sys.modules.get("opentelemetry.trace")
    if trace is not None:
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            return f"00-{span.trace_id:032x}-{span.span_id:016x}-{int(span.trace_flags):02x}"
    return _OF_CALLER.get()
