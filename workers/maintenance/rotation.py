"""One run over the keys of all providers: do what is due, each step in its own transaction.

All state is in the ledger. Beat's next run continues a run that was killed anywhere, and two
concurrent runs do each step once: the next step is determined again under the slot's lock.
"""

from sqlalchemy.orm import Session

from sisgate.audit import events
from sisgate.credentials.rotation import Policy, Step
from sisgate.credentials.slots import Slot, accept_probe, policy_of, read_slot, read_slots
from sisgate.credentials.sources import KeyRequest
from sisgate.credentials.stored_tokens import StoredTokens
from sisgate.domain.states import KeyState
from sisgate.errors import BrokerUnavailable, PermanentError
from sisgate.ledger import jobs, keys
from sisgate.ledger.keys import add_usage
from sisgate.ledger.schema import Key, KeySlot
from sisgate.logs import get_logger
from sisgate.settings import ProviderConfig
from workers.maintenance import key_provisioning
from workers.maintenance.key_provisioning import record
from workers.runtime import Runtime

log = get_logger()

MOST_STEPS = 10
"""Steps of one slot in one run; the rest is for the next run."""

ALERTS = frozenset({"fail", "give up", "reinstate", "revoke"})
"""Steps that need a person's attention."""


def rotate(runtime: Runtime) -> None:
    """Do what is due for every key. A permanent error of one provider does not block the others."""
    add_counts(runtime)
    providers = runtime.configuration.current().providers
    with runtime.database.read() as session:
        now = runtime.clock.now()
        due = [
            (slot.provider, slot.name)
            for slot in read_slots(session, providers)
            if slot.next_step(policy_of(providers[slot.provider]), now)
        ]
    for provider, slot_name in due:
        config = providers[provider]
        try:
            for _ in range(MOST_STEPS):
                if not _advance(runtime, config, slot_name):
                    break
        except PermanentError as error:
            # For example, a secret that cannot be decrypted.
            log.exception("rotation_failed", provider=provider, slot=slot_name, reason=error.code)


def add_counts(runtime: Runtime) -> None:
    """Add the usage counts of keys to the ledger. An outage of Redis only delays this."""
    try:
        batch, counts = runtime.usage.take()
        if not counts:
            return
        with runtime.database.write() as session:
            add_usage(session, batch, counts)
        runtime.usage.drop(batch)
    except BrokerUnavailable as error:
        log.warning("key_usage_postponed", reason=error.message)


def _advance(runtime: Runtime, config: ProviderConfig, slot_name: str) -> bool:
    """Do the next step of a slot; return whether there was one."""
    policy = policy_of(config)
    retiring = _retiring(runtime, config, slot_name, policy)
    if retiring is not None:
        key_provisioning.deprovision(config, slot_name, retiring)
    call = None
    request: KeyRequest | None = None
    with runtime.database.write() as session:
        now = runtime.clock.now()
        row = keys.lock_slot(session, config.name, slot_name)
        slot = read_slot(session, row)
        step = slot.next_step(policy, now)
        if step is None:
            return False
        if step.act == "retire" and step.key != (retiring.id if retiring else None):
            return True  # decided since: the next pass deprovisions it first
        if step.act == "order":
            request = key_provisioning.begin(runtime, config, slot, row)
        if step.act in {"probe", "check"}:
            call = _begin_probe(session, config, slot, row, step, runtime)
        else:
            _change(slot, row, step, policy, runtime)
        _report(session, runtime, config, slot, step)
    if call is not None:
        _publish(runtime, call)
    if request is not None:
        key_provisioning.provision(runtime, request, policy)
    if step.act in {"retire", "revoke", "give up"} and step.key is not None:
        _drop_token(runtime, config.name, step.key)
    return True


def _retiring(
    runtime: Runtime, config: ProviderConfig, slot_name: str, policy: Policy
) -> Key | None:
    """Return the key to be retired next, which its source must deprovision first."""
    with runtime.database.read() as session:
        for slot in read_slots(session, [config.name]):
            if slot.name == slot_name:
                step = slot.next_step(policy, runtime.clock.now())
                return slot.key(step.key) if step is not None and step.act == "retire" else None
    return None


def _begin_probe(
    session: Session, config: ProviderConfig, slot: Slot, row: KeySlot, step: Step, runtime: Runtime
) -> tuple[int, str, int]:
    key = slot.key(step.key)
    now = runtime.clock.now()
    if step.act == "probe":
        key.state, key.updated_at, key.ordered = KeyState.CANARY.value, now, True
        row.requested_at = None
    address = accept_probe(session, runtime.vault, config, key, now)
    job = jobs.get(session, str(key.probe_job))
    events.job_accepted(session, job, now, by="rotation")
    return address


def _change(slot: Slot, row: KeySlot, step: Step, policy: Policy, runtime: Runtime) -> None:
    """Carry out a step that only changes rows."""
    if step.act == "order":
        return
    now, key = runtime.clock.now(), slot.key(step.key)
    session = Session.object_session(key)
    assert session is not None
    match step.act:
        case "promote" | "reinstate":
            keys.activate(session, key, now, policy.overlap)
            row.failure, row.not_before = None, None
        case "fail":
            key.state, key.updated_at = KeyState.STAGED.value, now
            _try_later(key, step, slot, runtime)
        case "later":
            _try_later(key, step, slot, runtime)
            key.checked_at = now
        case "give up":
            row.failure = f"{step.reason}: {_answer(slot, key)}"
            row.not_before = now + policy.retry_after
            keys.end(key, KeyState.REVOKED, now, row.failure)
        case "retire":
            keys.end(key, KeyState.RETIRED, now, step.reason)
        case "clear":
            keys.clear(key, now)
        case "revoke":
            keys.end(key, KeyState.REVOKED, now, f"{step.reason}: {_answer(slot, key)}")
        case "warn":
            key.warned_at = now


def _try_later(key: Key, step: Step, slot: Slot, runtime: Runtime) -> None:
    key.reason = _answer(slot, key) or step.reason
    key.probe_job, key.probes_failed = None, step.failures
    key.next_probe_at = runtime.clock.now() + step.after


def _answer(slot: Slot, key: Key) -> str:
    """Return the provider's message to the request that probed a key."""
    job = slot.probe_of(key)
    return str((job.error or {}).get("message", "")) if job is not None else ""


def _report(
    session: Session, runtime: Runtime, config: ProviderConfig, slot: Slot, step: Step
) -> None:
    if step.act in {"check", "later"}:
        return
    reason = step.reason
    if step.key is not None:
        key = slot.key(step.key)
        reason = key.reason if key.reason and step.act in {"fail", "give up", "revoke"} else reason
    write = log.error if step.act in ALERTS else log.warning if step.act == "warn" else log.info
    write(
        f"key_{step.act.replace(' ', '_')}",
        provider=config.name, slot=slot.name, key=step.key, reason=reason,
    )  # fmt: skip
    record(session, runtime, config.name, slot.name, step.act.replace(" ", "-"), reason, step.key)


def _publish(runtime: Runtime, call: tuple[int, str, int]) -> None:
    try:
        runtime.publisher.call(*call)
    except BrokerUnavailable:
        log.warning("publish_postponed", provider=call[1], calls=1)


def _drop_token(runtime: Runtime, provider: str, key_id: str) -> None:
    try:
        StoredTokens(runtime.redis).drop(provider, key_id)
    except BrokerUnavailable:
        log.warning("token_not_dropped", provider=provider, key=key_id)
