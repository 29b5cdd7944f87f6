"""Provisioning of keys: requesting a new one under a lease, revoking an old one."""

import uuid
from datetime import timedelta

from sqlalchemy.orm import Session

from sisgate.audit import log as audit
from sisgate.credentials.keys import open_key, stage_key
from sisgate.credentials.rotation import Policy
from sisgate.credentials.slots import Slot
from sisgate.credentials.sources import KeyRequest, NewKey, source_of
from sisgate.domain.states import KeyState
from sisgate.errors import SisgateError
from sisgate.ledger import keys
from sisgate.ledger.schema import Key, KeySlot
from sisgate.logs import get_logger
from sisgate.settings import ProviderConfig
from workers.runtime import Runtime

log = get_logger()

ORDER_TRIES = 3
"""How often a source may fail before an order is abandoned."""


def begin(runtime: Runtime, config: ProviderConfig, slot: Slot, row: KeySlot) -> KeyRequest:
    """Record that a new key is requested, and until when; return the request.

    The caller holds the slot. A request left open by a lost worker keeps its id.
    """
    seconds = config.rotation.source_seconds
    row.order_id = row.order_id or str(uuid.uuid4())
    row.requested_at, row.failure = None, None
    row.leased_until = runtime.clock.now() + timedelta(seconds=2 * seconds)
    active = next((key for key in slot.keys if key.state == KeyState.ACTIVE.value), None)
    current = open_key(runtime.vault, active) if active is not None else None
    return KeyRequest(row.order_id, config, slot.name, current, seconds)


def provision(runtime: Runtime, request: KeyRequest, policy: Policy) -> None:
    """Request a key from the source and store it, or record why there is none."""
    new: NewKey | None = None
    failure, name = "", request.config.name
    try:
        new = source_of(request.config).provision(request)
    except SisgateError as error:
        failure = error.message
    except Exception as error:  # noqa: BLE001 - a plug-in may raise anything, with a secret in it
        failure = f"The key source {request.config.rotation.source} raised {type(error).__name__}."
    with runtime.database.write() as session:
        row = keys.lock_slot(session, name, request.slot)
        if row.order_id != request.id:
            return  # another run was faster, with the same request
        if new is None:
            _note_failure(session, runtime, row, policy, failure)
            return
        key, _ = stage_key(
            session, runtime.vault, name, new, runtime.clock.now(),
            slot=request.slot, source=request.config.rotation.source, ordered=True,
        )  # fmt: skip
        row.order_id, row.leased_until, row.order_tries, row.not_before = None, None, 0, None
        record(session, runtime, name, request.slot, "stage", "provided by its source", key.id)


def _note_failure(
    session: Session, runtime: Runtime, row: KeySlot, policy: Policy, failure: str
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


def deprovision(config: ProviderConfig, slot_name: str, key: Key) -> None:
    """Have the source revoke a key that is no longer used. If that fails, a person has to."""
    if key.source == "hand" or key.source != config.rotation.source:
        return
    request = KeyRequest(key.id, config, slot_name, None, config.rotation.source_seconds)
    failure = ""
    try:
        source_of(config).deprovision(request, key.client_id)
    except SisgateError as error:
        failure = error.message
    except Exception as error:  # noqa: BLE001 - a plug-in may raise anything, with a secret in it
        failure = type(error).__name__
    if failure:
        log.error(
            "key_not_taken_back", reason=failure, provider=config.name, slot=slot_name,
            key=key.id, client_id=key.client_id,
        )  # fmt: skip


def record(
    session: Session,
    runtime: Runtime,
    provider: str,
    slot_name: str,
    act: str,
    reason: str,
    key_id: str | None,
) -> None:
    """Record a step of the rotation in the audit log."""
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
