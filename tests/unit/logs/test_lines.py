"""A line of the log: one an event, the same shape for all, nothing in it that does not belong."""

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from sisgate.clock import SystemClock
from sisgate.logs import concerning, get_logger, lines
from sisgate.logs.redaction import HIDDEN, SECRET_NAMES, redacted

CANARY = "Ludmilla-secret-4711"
log = get_logger("sisgate.test")

Written = Callable[[], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Leave logging as pytest has it."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    concerning()
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    root.handlers, root.level = handlers, level


@pytest.fixture
def written(capfd: pytest.CaptureFixture[str]) -> Written:
    """Write JSON as a worker does; return what was written since."""
    lines.configure("worker", "json")

    def read() -> list[dict[str, Any]]:
        return [json.loads(line) for line in capfd.readouterr().err.splitlines()]

    return read


def test_events_and_libraries_have_one_shape(written: Written) -> None:
    """Each once, also from a logger that had a handler of its own."""
    celery = logging.getLogger("celery.worker.x")
    celery.addHandler(logging.StreamHandler())
    lines.configure("worker", "json")
    concerning(job="3f8a", call=17, trace=None)
    log.info("call_ended", status=200, code=None)
    celery.warning("a %s", "thing")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    ours, theirs, warning = written()
    assert {"level": "info", "process": "worker", "event": "call_ended"}.items() <= ours.items()
    assert (ours["job"], ours["call"], ours["status"]) == ("3f8a", 17, 200)
    assert not {"trace", "code", "logger"} & set(ours)
    assert list(ours)[:5] == ["timestamp", "level", "process", "event", "job"]
    assert (theirs["event"], theirs["logger"], theirs["call"]) == ("a thing", "celery.worker.x", 17)
    assert (warning["logger"], warning["level"]) == ("py.warnings", "warning")
    concerning()
    log.info("call_waits")
    assert "job" not in written()[0]


def test_a_traceback_shows_no_local_variables(written: Written) -> None:
    """A student or a secret in a frame stays there."""

    def fail(student: str) -> None:
        assert len(student) > 0
        raise RuntimeError("a failure without details")

    try:
        fail(CANARY)
    except RuntimeError:
        log.exception("duty_failed", duty="x")
        logging.getLogger("celery").exception("it failed")
    text = json.dumps(found := written())
    assert CANARY not in text
    assert all(
        each["exception"].endswith("RuntimeError: a failure without details") for each in found
    )


@pytest.mark.parametrize(
    "text",
    [
        f"GET https://sis.test/students?name={CANARY}&x=1 failed",
        f"/ws/v1/student?q={CANARY}",
        f"https://ana:{CANARY}@sis.test/",
        f"redis://:{CANARY}@localhost:1/0",
        f"Authorization: Bearer {CANARY}",
        f"{{'Authorization': 'Basic {CANARY}'}}",
        f'{{"client_secret": "{CANARY}"}}',
        f"grant_type=x&client_secret={CANARY}",
        f"password={CANARY}",
        f"Cookie: a=b; session={CANARY}",
    ],
)
def test_secrets_and_queries_are_not_written(written: Written, text: str) -> None:
    """Whoever says them: a field, a message of a library, an exception."""
    try:
        raise ValueError(text)
    except ValueError:
        log.exception("duty_failed", reason=text, problems=[text], rows={"a": text})
    logging.getLogger("urllib3").warning("%s", text)
    found = json.dumps(written())
    assert "duty_failed" in found
    assert CANARY not in found


@pytest.mark.parametrize(
    "fail",
    [
        lambda: int(CANARY),
        lambda: dict[str, int]()[CANARY],
        lambda: datetime.fromisoformat(CANARY),
        lambda: TypeAdapter(dict[str, int]).validate_python({"grade": CANARY}),
    ],
    ids=["int", "dict", "datetime", "pydantic"],
)
def test_a_value_that_an_exception_quotes_is_not_written(
    written: Written, fail: Callable[[], object]
) -> None:
    """It is of a row or a body that nobody has checked."""
    try:
        fail()
    except (ValueError, KeyError) as error:
        log.exception("duty_failed")
        told = repr(error)  # as Celery does
        logging.getLogger("celery").exception("Task %s raised unexpected: %s", "x", told)
    found = json.dumps(written())
    assert "Error" in found
    assert CANARY not in found


def test_fields_with_names_of_secrets_are_hidden(written: Written) -> None:
    """Whatever they hold."""
    for name in SECRET_NAMES:
        log.warning("key_suspect", **{name: CANARY})
    found = written()
    assert len(found) == len(SECRET_NAMES)
    assert all(HIDDEN in each.values() for each in found)
    assert CANARY not in json.dumps(found)


@given(st.text())
def test_no_text_is_lost_that_is_no_secret(text: str) -> None:
    """Redaction ends for every text, and does not make it longer than it may be."""
    assert len(redacted(text * 50)) <= 2_100


@pytest.mark.parametrize("part", ["/", "a.", "a-", "a://", "x/", 'password="', "/a)"])
def test_no_text_holds_up_its_process(part: str) -> None:
    """Anybody can ask for a path of ten thousands of slashes, and it is logged."""
    clock = SystemClock()
    begun = clock.monotonic()
    redacted(part * 20_000)
    assert clock.monotonic() - begun < 3.0


@pytest.mark.parametrize("form", ["json", "pretty"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\x85", "\u2028", "\x1b[2J\n", "\x00\n"])
def test_no_text_forges_a_line(form: str, end: str, capfd: pytest.CaptureFixture[str]) -> None:
    """In a name, a value, a message of a library."""
    lines.configure("web", form)
    forged = f'x{end}{{"event": "forged"}}'
    log.info("request_answered", route=forged)
    log.info(forged)
    logging.getLogger("uvicorn.error").warning(forged)
    found = capfd.readouterr().err
    assert len(found.splitlines()) == 3
    assert "\x1b" not in found
    assert "\x00" not in found


def test_lines_are_bounded(written: Written) -> None:
    """However long a text, and however many."""
    log.info("duty_failed", reason="x" * 1_000_000, problems=["y" * 5_000] * 10_000)
    logging.getLogger("celery").warning("z" * 1_000_000)
    try:
        raise ValueError("v" * 1_000_000)
    except ValueError:
        log.exception("duty_failed")
    found = written()
    assert [len(json.dumps(each)) <= lines.MOST_OF_LINE for each in found] == [True] * 3
    assert found[1]["event"].endswith("(1,000,000 characters)")


@pytest.mark.parametrize("name", ["celery.worker.strategy", "celery.beat"])
def test_levels_hold_and_each_task_is_not_told_twice(written: Written, name: str) -> None:
    """Celery's lines of received, ended and sent tasks come at debug only."""
    strategy = logging.getLogger(name)
    strategy.info("Task received")
    assert written() == []
    lines.configure("worker", "json", logging.DEBUG)
    strategy.info("Task received")
    assert [each["event"] for each in written()] == ["Task received"]
    lines.configure("worker", "json", "WARNING")
    log.info("call_ended")
    assert written() == []


def test_a_line_is_pretty_for_people(capfd: pytest.CaptureFixture[str]) -> None:
    """Time, level, event, fields; without colours outside a terminal."""
    lines.configure("worker", "pretty")
    log.warning("breaker_changed", provider="lincoln", reason="too many failures")
    line = capfd.readouterr().err
    assert line.endswith("breaker_changed provider=lincoln reason='too many failures'\n")
    assert " warning " in line


def test_an_app_that_configures_nothing_finds_events_in_its_own_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where it finds those of other libraries, and not on stdout."""
    with caplog.at_level(logging.INFO):
        log.info("sis_request_failed", code="x")
    assert "event='sis_request_failed' code='x'" in caplog.text
