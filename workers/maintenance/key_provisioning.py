"""New keys from their sources: an order under a lease, and the old ones taken back."""

from __future__ import annotations

import uuid
from datetime import timedelta

import structlog
from sqlalchemy.orm import Session

from sisgate.audit import log as audit
from sisgate.credentials import keys
from sisgate.credentials.rotation import Policy
from sisgate.credentials.slots import Slot
from sisgate.credentials.sources import NewKey, Order, source_of
from sisgate.domain.states import KeyState
from sisgate.errors import SisgateError
from sisgate.ledger.schema import Key, KeySlot
from sisgate.settings import ProviderConfig
from workers.runtime import Runtime

log = structlog.get_logger()

ORDER_TRIES = 3
"""How often a source may fail before an order is given up."""


def begin(runtime: Runtime, config: ProviderConfig, slot: Slot, row: KeySlot) -> Order:
    """Note that a new key is asked for, and by when; return what to ask. The caller holds the slot.

    An order that is open already, because whoever asked did not come back, keeps its id.
    """
    seconds = config.rotation.source_seconds
    row.order_id = row.order_id or str(uuid.uuid4())
    row.requested_at, row.failure = None, None
    row.leased_until = runtime.clock.now() + timedelta(seconds=2 * seconds)
    active = next((key for key in slot.keys if key.state == KeyState.ACTIVE.value), None)
    current = keys.open_key(runtime.vault, active) if active is not None else None
    return Order(row.order_id, config, slot.name, current, seconds)


def fetch(runtime: Runtime, order: Order, policy: Policy) -> None:
    """Ask the source, and store what it brings; or note why it brought nothing."""
    brought: NewKey | None = None
    failure = ""
    try:
        brought = source_of(order.config).order(order)
    except SisgateError as error:
        failure = error.message
    except Exception as error:  # noqa: BLE001 - a plug-in may raise anything, with a secret in it
        failure = f"The key source {order.config.rotation.source} raised {type(error).__name__}."
    now = runtime.clock.now()
    with runtime.database.write() as session:
        row = keys.lock_slot(session, order.config.name, order.slot)
        if row.order_id != order.id:
            return  # another run was faster: it has asked with the same order
        if brought is None:
            _note_failure(session, runtime, row, policy, failure)
            return
        key_id = keys.stage_key(
            session,
            runtime.vault,
            order.config.name,
            brought.client_id,
            brought.secret,
            now,
            slot=order.slot,
            expires_at=brought.expires_at,
            source=order.config.rotation.source,
            ordered=True,
        )
        row.order_id, row.leased_until, row.order_tries, row.not_before = None, None, 0, None
        record(session, runtime, order.config.name, order.slot, "stage", "its source brought it",
               key_id)  # fmt: skip


def _note_failure(
    session: Session,
    runtime: Runtime,
    row: KeySlot,
    policy: Policy,
    failure: str,
) -> None:
    now = runtime.clock.now()
    row.order_tries += 1
    row.leased_until, row.failure = None, failure
    row.not_before = now + policy.backoff(row.order_tries)
    if row.order_tries >= ORDER_TRIES:
        row.order_id, row.order_tries = None, 0
        row.not_before = now + policy.retry_after
    log.error("key_order_failed", provider=row.provider, slot=row.slot, reason=failure)
    record(session, runtime, row.provider, row.slot, "order-failed", failure, None)


def take_back(config: ProviderConfig, slot_name: str, key: Key) -> None:
    """Tell the source that a key is no longer used. One that fails leaves it to a person."""
    if key.source == "hand" or key.source != config.rotation.source:
        return
    order = Order(key.id, config, slot_name, None, config.rotation.source_seconds)
    words = {"provider": config.name, "slot": slot_name, "key": key.id, "client_id": key.client_id}
    failure = ""
    try:
        source_of(config).take_back(order, key.client_id)
    except SisgateError as error:
        failure = error.message
    except Exception as error:  # noqa: BLE001 - a plug-in may raise anything, with a secret in it
        failure = type(error).__name__
    if failure:
        log.error("key_not_taken_back", reason=failure, **words)


def record(
    session: Session,
    runtime: Runtime,
    provider: str,
    slot_name: str,
    act: str,
    reason: str,
    key_id: str | None,
) -> None:
    """Write what the rotation does to the audit log."""
    audit.record(
        session,
        runtime.clock.now(),
        actor="rotation",
        action=f"keys:{'key' if key_id else 'slot'}:{act}",
        subject=provider,
        reason=reason or None,
        slot=slot_name,
        key=key_id,
    )
