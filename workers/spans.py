"""Spans of calls, for OpenTelemetry: written when a call has ended, from what it has measured.

Only with `traces = "otlp"` and for jobs that belong to a trace; then where spans go is said by
OpenTelemetry's own variables, such as `OTEL_EXPORTER_OTLP_ENDPOINT`. Names and attributes are those
of its semantic conventions where there are some. A span holds ids and no student data: a path may
name a person.
"""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sisgate import __version__
from sisgate.errors import SisgateError
from sisgate.ledger.calls import Claim
from sisgate.start_up import extra_of, missing_extra

MILLISECOND = timedelta(milliseconds=1)


class Spans:
    """Writes the spans of one process. `exporter` replaces the one that sends them, in tests."""

    def __init__(self, exporter: Any = None) -> None:
        try:
            from opentelemetry import trace
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
        except ModuleNotFoundError as error:
            if extra_of(error.name) is None:
                raise
            raise missing_extra("otel", "Writing traces") from error
        self._trace = trace
        resource = Resource.create({"service.name": "sisgate", "service.version": __version__})
        self._provider = TracerProvider(resource=resource)
        if exporter is None:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        else:
            self._provider.add_span_processor(SimpleSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("sisgate", __version__)

    def ended(
        self,
        claim: Claim,
        method: str,
        reply: Any,
        now: datetime,
        attempt: int,
        measured: dict[str, Any],
    ) -> None:
        """Write the spans of an attempt that has ended: waiting, and the request if one was sent.

        `measured` is what its time was spent on, as the audit log is told.
        """
        parent = self._parent_of(claim.job.traceparent)
        if parent is None:
            return
        spent = measured.get("ms") or {}
        took = spent.get("provider", 0.0) * MILLISECOND
        waited = spent.get("queue", 0.0) * MILLISECOND
        claimed_at = now - took
        call = self._tracer.start_span(
            "sisgate.call",
            parent,
            attributes={
                "sisgate.provider": claim.call.provider,
                "sisgate.job": claim.job.id,
                "sisgate.call": claim.call.id,
                "sisgate.attempt": attempt,
            },
            start_time=_nanoseconds(claimed_at - waited),
        )
        inside = self._trace.set_span_in_context(call)
        if waited:
            self._span("sisgate.queue", inside, claimed_at - waited, claimed_at)
        if "provider" in spent:
            self._request(inside, method, reply, claimed_at, now)
        if _is_error(reply):
            call.set_status(self._trace.StatusCode.ERROR)
        call.end(_nanoseconds(now))

    def close(self) -> None:
        """Send what was not sent yet."""
        self._provider.shutdown()

    def _request(
        self, inside: Any, method: str, reply: Any, begun: datetime, ended: datetime
    ) -> None:
        attributes: dict[str, Any] = {
            "http.request.method": method,
            "server.address": urlsplit(reply.endpoint).hostname or "",
        }
        if reply.status is not None:
            attributes["http.response.status_code"] = reply.status
        error: SisgateError | None = reply.error
        if error is not None:
            attributes["error.type"] = error.code
        kind = self._trace.SpanKind.CLIENT
        self._span(method, inside, begun, ended, attributes, kind, is_error=_is_error(reply))

    def _span(
        self,
        name: str,
        inside: Any,
        begun: datetime,
        ended: datetime,
        attributes: dict[str, Any] | None = None,
        kind: Any = None,
        *,
        is_error: bool = False,
    ) -> None:
        span = self._tracer.start_span(
            name,
            inside,
            kind=kind or self._trace.SpanKind.INTERNAL,
            attributes=attributes,
            start_time=_nanoseconds(begun),
        )
        if is_error:
            span.set_status(self._trace.StatusCode.ERROR)
        span.end(_nanoseconds(ended))

    def _parent_of(self, traceparent: str | None) -> Any:
        if traceparent is None:
            return None
        _, trace_id, span_id, flags = traceparent.split("-")
        context = self._trace.SpanContext(
            int(trace_id, 16),
            int(span_id, 16),
            is_remote=True,
            trace_flags=self._trace.TraceFlags(int(flags, 16)),
        )
        return self._trace.set_span_in_context(self._trace.NonRecordingSpan(context))


def _is_error(reply: Any) -> bool:
    return reply.error is not None or (reply.status is not None and reply.status >= 400)


def _nanoseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000) * 1000
