"""How the log of a process is written: a line an event, of ours and of libraries alike."""

import json
import logging
import os
import sys
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from typing import Any, TextIO

import structlog
from structlog.stdlib import ProcessorFormatter

from sisgate.logs.redaction import MOST_CHARACTERS, redacted, safe

MOST_OF_LINE = 16_000
"""Characters of one line; of a longer one, the texts are shortened."""

SHORT = 200

FIRST = (
    "timestamp", "level", "process", "event", "job", "call", "provider", "attempt", "trace",
)  # fmt: skip
"""The fields that come first, in this order."""

_LIBRARIES = ("celery", "kombu", "billiard", "uvicorn", "tornado", "flower", "sqlalchemy", "py")
"""Loggers that get handlers of their own, so that their lines would come twice."""

_VERBOSE = ("urllib3", "requests", "requests_oauthlib", "oauthlib", "alembic")
"""At DEBUG they log paths with queries, signatures and the signed text, or at INFO each look."""

_OF_EACH_TASK = ("celery.worker.strategy", "celery.app.trace", "celery.beat")
"""They tell at INFO that each task was received, has succeeded, or is sent: several a second."""

_LEVEL_COLOURS = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "1;31"}
_CONTROLS = {code: repr(chr(code))[1:-1] for code in (*range(32), *range(127, 160))}
_SEPARATORS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}


def configure(
    process: str, form: str = "auto", level: int | str = logging.INFO, file: str | None = None
) -> None:
    """Write the log of this process to stderr, or to a file; `process` is in each line.

    `form` is `json`, `pretty`, or `auto`: pretty on a terminal, else JSON. Calling it again
    replaces what was configured.
    """
    handler = WatchedFileHandler(file) if file else _Stderr()
    coloured = file is None and sys.stderr.isatty()
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[structlog.contextvars.merge_contextvars, _of_library],
            processors=[
                _Line(process),
                structlog.processors.ExceptionRenderer(),
                _bounded,
                _Pretty(coloured=coloured) if is_pretty(form, file) else _as_json,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in [*logging.root.manager.loggerDict]:
        if name.partition(".")[0] in _LIBRARIES:
            logging.getLogger(name).handlers = []
            logging.getLogger(name).propagate = True
    is_debug = root.level <= logging.DEBUG
    for name in _OF_EACH_TASK:
        logging.getLogger(name).setLevel(logging.NOTSET if is_debug else logging.WARNING)
    logging.captureWarnings(capture=True)
    send_to_logging()


def is_pretty(form: str, file: str | None = None) -> bool:
    """Return whether lines are for people; `auto`: if stderr is a terminal."""
    return form == "pretty" or (form == "auto" and file is None and sys.stderr.isatty())


def send_to_logging() -> None:
    """Send our events to the standard library's logging, whose level holds for them."""
    for name in _VERBOSE:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def read_line(line: str) -> Mapping[str, Any] | None:
    """Return the event that a line of JSON is; None for any other line."""
    if not line.startswith("{"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event and "level" in event else None


def pretty(event: Mapping[str, Any], *, coloured: bool = False) -> str:
    r"""Return an event for people: time, level, event, fields; a traceback below.

    No text can forge a line or change the terminal:

    >>> told = {"timestamp": "2026-11-29T08:00:01.250Z", "level": "info", "event": "a\nb"}
    >>> pretty({**told, "provider": "x y", "exception": "Traceback\nError: \x1b[2J"})
    "08:00:01 info    a\\nb provider='x y'\n    | Traceback\n    | Error: \\x1b[2J"
    """
    fields = {name: value for name, value in event.items() if name not in _PRETTY_APART}
    level = str(event.get("level", "info"))
    shown = f"{level:<7}"
    if coloured:
        shown = f"\x1b[{_LEVEL_COLOURS.get(level, '0')}m{shown}\x1b[0m"
    words = [f"{name}={_value(value)}" for name, value in fields.items()]
    line = f"{str(event.get('timestamp', ''))[11:19]} {shown} {_plain(str(event['event']))}"
    text = " ".join([line, *words])
    for each in str(event.get("exception") or "").splitlines():
        text += f"\n    | {_plain(each)}"
    return text


_PRETTY_APART = {"timestamp", "level", "event", "exception", "process", "pid"}


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to what stderr is now."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # read each time
        """The process's stderr."""
        return sys.stderr


class _Line:
    """Puts what each line has before the fields of its event."""

    def __init__(self, process: str) -> None:
        self._process = process

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> Any:
        """Return the fields of a line in their order."""
        record: logging.LogRecord = event.pop("_record")
        event.pop("_from_structlog", None)
        event["timestamp"] = written(datetime.fromtimestamp(record.created, UTC))
        event["level"] = record.levelname.lower()
        event["process"] = self._process
        event["pid"] = record.process or os.getpid()
        return {name: event[name] for name in FIRST if name in event} | dict(event)


def written(then: datetime) -> str:
    """Return a time as a line has it.

    >>> written(datetime(2026, 11, 29, 8, 0, 1, 250_000, tzinfo=UTC))
    '2026-11-29T08:00:01.250Z'
    """
    utc = then.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03}Z"


def _of_library(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Any:
    """Say whose line it is, and of which task."""
    record: logging.LogRecord = event["_record"]
    event["logger"] = record.name
    data = getattr(record, "data", None)
    if isinstance(data, Mapping):
        event.update(task=data.get("name"), task_id=data.get("id"))
    return event


def _bounded(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Any:
    return {str(name): safe(str(name), value) for name, value in event.items() if value is not None}


def _as_json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    text = json.dumps(event, ensure_ascii=False, default=str)
    if len(text) > MOST_OF_LINE:
        short = {name: _shortened(value) for name, value in event.items()}
        text = json.dumps({**short, "shortened": True}, ensure_ascii=False, default=str)
    return text.translate(_SEPARATORS)


def _shortened(value: object) -> object:
    return value if isinstance(value, int | float | None) else redacted(str(value), SHORT)


class _Pretty:
    """Writes an event for people."""

    def __init__(self, *, coloured: bool) -> None:
        self._coloured = coloured

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
        """Return the lines of an event."""
        return pretty(event, coloured=self._coloured)


def _plain(text: str) -> str:
    return text.translate(_CONTROLS | _SEPARATORS)[: 2 * MOST_CHARACTERS]


def _value(value: object) -> str:
    if isinstance(value, str):
        return repr(value) if not value or set(value) & set(" ='\"") else _plain(value)
    return _plain(str(value))
