"""The keys of providers in the ledger: which there are, their states, their slots and their use.

Their secrets are sealed and opened in `sisgate.credentials`.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from sqlalchemy import case, func, select, true, update
from sqlalchemy.orm import Session

from sisgate.domain.choices import Slot
from sisgate.domain.states import KeyState
from sisgate.errors import CredentialError, UnknownKey, UsageError
from sisgate.ledger.prepared import Prepared, given
from sisgate.ledger.schema import Key, KeySlot, KeyUsage
from sisgate.ledger.statements import change, insert_into, lock_or_make
from sisgate.ledger.states import is_in

SLOTS = get_args(Slot)
USABLE = (KeyState.ACTIVE, KeyState.DRAINING)
FINAL = tuple(state.value for state in KeyState if state.is_final)
AT_ONCE = timedelta(0)
COUNTED = ("calls", "errors", "throttled", "refused")
"""What is counted of each key."""

_COLUMNS = Key.__table__.columns.keys()
_USABLE = Prepared(
    lambda _: select(Key.__table__).where(
        Key.provider == given("provider"), is_in(Key.state, *USABLE)
    )
)
"""Every call asks: as the ORM asks, it would take four times as long."""


def lock_slot(session: Session, provider: str, slot: str) -> KeySlot:
    """Return the slot with its row locked. Changing the state of a key requires this lock."""
    return lock_or_make(session, KeySlot, provider=provider, slot=slot, order_tries=0)


def keys_of(
    session: Session, provider: str, slot: str, states: Sequence[KeyState] = ()
) -> Sequence[Key]:
    """Return the keys of a slot, oldest first; with `states`, only those in one of them."""
    query = select(Key).where(Key.provider == provider, Key.slot == slot)
    if states:
        query = query.where(Key.state.in_(states))
    return session.scalars(query.order_by(Key.created_at, Key.id)).all()


def list_keys(session: Session, provider: str | None = None) -> list[Key]:
    """Return the keys, newest first. Their secrets stay sealed."""
    query = select(Key).order_by(Key.provider, Key.created_at.desc())
    return list(session.scalars(query.where(Key.provider == provider) if provider else query))


def rotation_failures(session: Session, provider: str | None = None) -> dict[tuple[str, str], str]:
    """Return by provider and slot why its last rotation brought no new key, where it did not."""
    query = select(KeySlot.provider, KeySlot.slot, KeySlot.failure).where(
        KeySlot.failure.is_not(None), true() if provider is None else KeySlot.provider == provider
    )
    return {(name, slot): str(why) for name, slot, why in session.execute(query)}


def active_slots(session: Session) -> dict[str, dict[str, bool]]:
    """Return by provider which of its slots have an active key, and whether it is refused."""
    query = select(Key.provider, Key.slot, Key.suspect_at.is_not(None))
    query = query.where(Key.state == KeyState.ACTIVE)
    found: dict[str, dict[str, bool]] = {}
    for provider, slot, is_refused in session.execute(
        query.order_by(Key.provider, Key.created_at.desc())
    ):
        found.setdefault(provider, {})[slot] = is_refused
    return found


def get_key(session: Session, provider: str, key_id: str) -> Key:
    """Return the key of a provider whose id begins with `key_id`.

    Raises `UnknownKey` where there is none, and `UsageError` where there are several.
    """
    query = select(Key).where(Key.provider == provider, Key.id.startswith(key_id, autoescape=True))
    matches = session.scalars(query.limit(2)).all() if key_id else []
    if len(matches) != 1:
        raise (UsageError if matches else UnknownKey)(
            f"{'More than one key' if matches else 'No key'} of {provider} begins with "
            f"{key_id!r}. `sisgate keys list {provider}` shows them.",
            provider=provider,
        )
    return matches[0]


def live_keys(session: Session, providers: Sequence[str]) -> Sequence[Key]:
    """Return the keys of providers that have not ended, oldest first, as they are now."""
    query = select(Key).where(Key.provider.in_(providers), Key.state.not_in(FINAL))
    query = query.order_by(Key.created_at, Key.id).execution_options(populate_existing=True)
    return session.scalars(query).all()


def all_slots(session: Session) -> dict[tuple[str, str], KeySlot]:
    """Return the slots that were ever locked, by provider and name."""
    return {(row.provider, row.slot): row for row in session.scalars(select(KeySlot))}


def usable_keys(session: Session, provider: str, now: datetime) -> list[Key]:
    """Return copies of the keys to call with, best first; `CredentialError` if there is none.

    Suspect and expired keys come last but are included: a provider that refuses for a moment must
    not leave us without a key. Then by slot; within a slot, active before draining.
    """
    rows = _USABLE.run(session, {"provider": provider})
    keys = (Key(**dict(zip(_COLUMNS, row, strict=True))) for row in rows)
    usable = sorted(keys, key=lambda key: _rank(key, now))
    if not usable:
        raise CredentialError(
            f"Provider {provider} has no key. Add one with `sisgate keys add {provider}`.",
            provider=provider,
        )
    return usable


def _rank(key: Key, now: datetime) -> tuple[bool, bool, int, bool, str]:
    is_expired = key.expires_at is not None and key.expires_at <= now
    is_draining = key.state == KeyState.DRAINING.value
    return key.suspect_at is not None, is_expired, SLOTS.index(key.slot), is_draining, key.id


def sealed_secrets(session: Session, providers: Sequence[str]) -> dict[str, list[bytes]]:
    """Return the sealed secrets of the usable keys of each provider."""
    query = select(Key.provider, Key.sealed_secret).where(
        Key.provider.in_(providers), Key.state.in_(USABLE)
    )
    found: dict[str, list[bytes]] = {provider: [] for provider in providers}
    for provider, sealed in session.execute(query):
        found[provider].append(sealed)
    return found


def ever_had_one(session: Session, providers: Collection[str]) -> set[str]:
    """Return those of some providers for which a key was stored at any time."""
    return set(session.scalars(select(Key.provider).where(Key.provider.in_(providers)).distinct()))


def activate(session: Session, key: Key, now: datetime, overlap: timedelta) -> None:
    """Make a key the active one of its slot; those it replaces drain for the overlap.

    The caller holds the slot.
    """
    session.flush()
    for other in keys_of(session, key.provider, key.slot, (KeyState.ACTIVE,)):
        if other.id != key.id:
            drain(other, now, overlap)
    key.state, key.updated_at, key.activated_at = KeyState.ACTIVE.value, now, now
    key.draining_until, key.ordered, key.probe_job, key.reason = None, False, None, None
    clear(key, now)


def drain(key: Key, now: datetime, overlap: timedelta) -> None:
    """Replace a key, but keep it for the overlap so that work in flight can finish."""
    if overlap <= AT_ONCE:
        end(key, KeyState.RETIRED, now, "replaced")
        return
    key.state, key.updated_at = KeyState.DRAINING.value, now
    key.draining_until = now + overlap


def end(key: Key, state: KeyState, now: datetime, reason: str) -> None:
    """Retire or revoke a key: its secret is destroyed."""
    assert state.is_final
    key.state, key.updated_at, key.reason = state.value, now, reason
    key.sealed_secret = b""
    key.ordered, key.probe_job, key.next_probe_at, key.suspect_at = False, None, None, None


def clear(key: Key, now: datetime) -> None:
    """Clear a suspicion after a call with the key has succeeded."""
    key.suspect_at, key.probe_job, key.next_probe_at, key.reason = None, None, None, None
    key.probes_failed, key.checked_at = 0, now


def suspect(session: Session, key_id: str, reason: str, now: datetime) -> bool:
    """Mark a key in use as refused by the provider; return whether that is new.

    One conditional UPDATE without the slot's lock: many calls meet a refused key at once.
    """
    is_first = (Key.id == key_id, Key.suspect_at.is_(None), Key.state.in_(USABLE))
    refused = {"suspect_at": now, "reason": reason, "probes_failed": 0, "next_probe_at": None}
    return change(session, update(Key).where(*is_first).values(refused)) == 1


def add_usage(session: Session, batch: int, counts: Mapping[str, Mapping[str, float]]) -> None:
    """Add a batch of counts; one that was added already changes nothing."""
    known = set(session.scalars(select(Key.id).where(Key.id.in_(list(counts)))))
    for key_id in sorted(known):
        counted = counts[key_id]
        empty = {"key_id": key_id, "batch": 0, **dict.fromkeys(COUNTED, 0)}
        session.execute(insert_into(session, KeyUsage).values(**empty).on_conflict_do_nothing())
        row = KeyUsage
        values = {
            "batch": batch,
            **{name: getattr(row, name) + int(counted.get(name, 0)) for name in COUNTED},
            "last_used_at": _later(row.last_used_at, counted.get("last")),
            "first_refused_at": func.coalesce(
                row.first_refused_at, _moment(counted.get("first-refused"))
            ),
            "last_refused_at": _later(row.last_refused_at, counted.get("last-refused")),
        }
        change(session, update(row).where(row.key_id == key_id, row.batch < batch).values(values))


def usage_of(session: Session, provider: str) -> dict[str, KeyUsage]:
    """Return the usage of a provider's keys by their ids; one that was never used is missing."""
    query = select(KeyUsage).join(Key, Key.id == KeyUsage.key_id).where(Key.provider == provider)
    return {row.key_id: row for row in session.scalars(query)}


def _later(column: Any, timestamp: float | None) -> Any:
    moment = _moment(timestamp)
    return column if moment is None else case((column > moment, column), else_=moment)


def _moment(timestamp: float | None) -> datetime | None:
    return None if timestamp is None else datetime.fromtimestamp(timestamp, UTC)
