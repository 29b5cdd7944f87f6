"""A job belongs to the trace of who asked, and its call is a part of it."""

from collections.abc import Iterator

import pytest
import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import select

from sisgate import Gateway, tracing
from sisgate.ledger.schema import Call, Job
from sisgate.settings import Settings
from testbed.sis import Sis
from testbed.web_service import WebService
from testbed.worker import runtime_of
from workers.calls import execute
from workers.runtime import Runtime
from workers.spans import Spans

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    """Where spans are kept."""
    return InMemorySpanExporter()


@pytest.fixture
def traced(installation: Settings, exporter: InMemorySpanExporter) -> Iterator[Runtime]:
    """A worker in this process that writes spans."""
    with runtime_of(installation) as runtime:
        vars(runtime)["spans"] = Spans(exporter)
        yield runtime


def make(runtime: Runtime, *, traceparent: str | None) -> str:
    """Ask for one request and make its call; return the job's id."""
    headers = [(b"traceparent", traceparent.encode())] if traceparent else []
    with tracing.in_trace_of(headers):
        job = runtime.gateway.enqueue_request("lincoln", "GET", "/orgs/secret-name")
    config = runtime.configuration.current().providers["lincoln"]
    with runtime.database.read() as session:
        (call,) = session.scalars(select(Call.id).where(Call.job_id == job.id))
    execute.make_call(runtime, config, call)
    return job.id


def by_name(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    """The spans that were written."""
    return {span.name: span for span in exporter.get_finished_spans()}


def test_a_call_is_a_part_of_its_callers_trace(
    traced: Runtime, exporter: InMemorySpanExporter
) -> None:
    """With the wait and the request within, which names no path: it may name a person."""
    job_id = make(traced, traceparent=CALLER)
    spans = by_name(exporter)
    assert set(spans) == {"sisgate.call", "sisgate.queue", "GET"}
    call, request = spans["sisgate.call"], spans["GET"]
    assert call.parent is not None
    assert call.context is not None
    assert f"{call.context.trace_id:032x}" == tracing.trace_id_of(CALLER)
    assert f"{call.parent.span_id:016x}" == CALLER.split("-")[2]
    assert request.parent is not None
    assert request.parent.span_id == call.context.span_id
    assert call.attributes is not None
    assert request.attributes is not None
    assert call.attributes["sisgate.job"] == job_id
    assert request.attributes["http.response.status_code"] == 200
    assert request.kind is trace.SpanKind.CLIENT
    assert "secret-name" not in repr([span.to_json() for span in spans.values()])
    for span in spans.values():
        assert span.start_time is not None
        assert span.end_time is not None
        assert span.start_time <= span.end_time


def test_a_refused_request_is_an_error(
    traced: Runtime, exporter: InMemorySpanExporter, sis: Sis
) -> None:
    """With its status."""
    sis.reply = lambda _: (404, {}, b"{}")
    make(traced, traceparent=CALLER)
    assert by_name(exporter)["GET"].status.status_code is trace.StatusCode.ERROR


def test_a_job_without_a_trace_writes_none(traced: Runtime, exporter: InMemorySpanExporter) -> None:
    """Nor does one whose caller sent nonsense."""
    make(traced, traceparent=None)
    make(traced, traceparent="00-" + 32 * "0" + "-b7ad6b7169203331-01")
    assert exporter.get_finished_spans() == ()


def test_the_log_names_the_trace_of_the_call(traced: Runtime) -> None:
    """And not that of the call before."""
    make(traced, traceparent=CALLER)
    assert structlog.contextvars.get_contextvars()["trace"] == tracing.trace_id_of(CALLER)
    make(traced, traceparent=None)
    assert "trace" not in structlog.contextvars.get_contextvars()


def test_an_app_that_uses_opentelemetry_need_not_say_anything(traced: Runtime) -> None:
    """The span that is open is the parent."""
    with TracerProvider().get_tracer("app").start_as_current_span("page") as span:
        job = traced.gateway.enqueue_request("lincoln", "GET", "/x")
    with traced.database.read() as session:
        kept = session.get_one(Job, job.id).traceparent
    assert tracing.trace_id_of(kept) == f"{span.get_span_context().trace_id:032x}"


def test_traces_are_off_unless_they_are_wanted(installation: Settings) -> None:
    """Then nothing is imported for them."""
    with runtime_of(installation) as runtime:
        assert runtime.spans is None
        assert make(runtime, traceparent=CALLER)


def test_a_caller_by_http_is_heard(gateway: Gateway) -> None:
    """By its header."""
    with WebService(gateway) as service:
        body = {"provider": "lincoln", "method": "GET", "path": "/x"}
        answer = service.ask("POST", "/v1/requests", json=body, headers={"traceparent": CALLER})
        assert answer.status_code == 202, answer.text
        with gateway.context.database.read() as session:
            assert session.scalars(select(Job.traceparent)).all() == [CALLER]
