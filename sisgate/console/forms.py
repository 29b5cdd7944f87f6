"""Reading forms and queries: bounded, and with errors that name the field."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

from starlette.requests import Request

from sisgate.domain.moments import parse_duration
from sisgate.errors import UsageError

MOST_FIELDS = 100


async def form_of(request: Request) -> dict[str, str]:
    """Return the fields of an urlencoded form, the last of each name; `UsageError` for another."""
    body = await request.body()  # the guard bounds it
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise UsageError("The form cannot be read.") from None
    if any("\0" in value for _, value in pairs):  # which PostgreSQL cannot store
        raise UsageError("The form cannot be read.")
    return dict(pairs)


@contextmanager
def asked_by(name: str) -> Iterator[None]:
    """Let a mistake in what a field asks for name the field, unless it names another one."""
    try:
        yield
    except UsageError as error:
        error.detail.setdefault("field", name)
        raise


def number_of(text: str, name: str) -> int:
    """Return a whole number; `UsageError` with the field's name for another text."""
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise UsageError(f"{name}: write a whole number.", field=name)
    return int(text)


def time_of(form: Mapping[str, str], name: str, now: datetime) -> datetime | None:
    """Return a time that a field gives, as a duration from now or in ISO 8601; None without.

    A time without an offset is UTC.
    """
    text = form.get(name, "").strip()
    if not text:
        return None
    with suppress(ValueError):
        return now + parse_duration(text)
    with suppress(ValueError):
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    raise UsageError(
        f"{name}: write a duration such as 30m or 2h, or a time such as 2026-12-01T07:00 (UTC).",
        field=name,
    )


def since_of(text: str, now: datetime) -> datetime | None:
    """Return when a span began that ends now, such as `24h`; None without one."""
    if not text:
        return None
    try:
        return now - min(parse_duration(text), timedelta(days=3650))
    except ValueError as error:
        raise UsageError(f"since: {error}.", field="since") from None
