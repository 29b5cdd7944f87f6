"""The slots of keys as the ledger has them, and the requests that try a key."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from sisgate.credentials.rotation import KeyView, Policy, Probe, SlotView, Step, next_step
from sisgate.credentials.sealed import seal_request
from sisgate.credentials.vault import Vault
from sisgate.domain.priorities import Priority
from sisgate.domain.states import JobKind, JobState, KeyState
from sisgate.ledger import acceptance, call_queue
from sisgate.ledger.acceptance import NewJob
from sisgate.ledger.call_queue import NewCall
from sisgate.ledger.calls import Purpose
from sisgate.ledger.job_search import of_ids
from sisgate.ledger.keys import USABLE, all_slots, live_keys
from sisgate.ledger.schema import Job, Key, KeySlot
from sisgate.settings import ProviderConfig


@dataclass(frozen=True)
class Slot:
    """A slot with those of its keys that have not ended, and the requests that try them."""

    provider: str
    name: str
    row: KeySlot | None
    keys: Sequence[Key]
    probes: dict[str, Job]
    others_good: bool

    def key(self, key_id: str | None) -> Key:
        """Return one of its keys."""
        return next(key for key in self.keys if key.id == key_id)

    def probe_of(self, key: Key) -> Job | None:
        """Return the request that tries a key, or None if there is none."""
        return self.probes.get(key.probe_job) if key.probe_job else None

    def next_step(self, policy: Policy, now: datetime) -> Step | None:
        """Return what is to be done next about the slot."""
        row = self.row
        slot = SlotView(
            requested=row is not None and row.requested_at is not None,
            is_ordering=row is not None and row.order_id is not None,
            leased_until=row.leased_until if row else None,
            not_before=row.not_before if row else None,
            others_good=self.others_good,
        )
        return next_step(slot, [self._view(key) for key in self.keys], policy, now)

    def _view(self, key: Key) -> KeyView:
        columns = {f.name: getattr(key, f.name) for f in fields(KeyView) if hasattr(key, f.name)}
        return KeyView(
            **{**columns, "state": KeyState(key.state)},
            suspect=key.suspect_at is not None,
            probe=_outcome(key.probe_job, self.probe_of(key)),
        )


def policy_of(config: ProviderConfig) -> Policy:
    """Return how the keys of a provider are rotated."""
    rotation = config.rotation
    same = ("interval", "overlap", "warn_before", "has_source", "check_every", "retry_after")
    return Policy(**{name: getattr(rotation, name) for name in same})


def read_slots(session: Session, providers: Iterable[str]) -> list[Slot]:
    """Return the slots of providers that have keys, or in which a rotation was requested."""
    names = set(providers)
    keys, rows = live_keys(session, sorted(names)), all_slots(session)
    places = {(key.provider, key.slot) for key in keys} | {
        place
        for place, row in rows.items()
        if place[0] in names and (row.order_id or row.requested_at)
    }
    probes = _probes(session, keys)
    return [_slot(*place, rows.get(place), keys, probes) for place in sorted(places)]


def read_slot(session: Session, row: KeySlot) -> Slot:
    """Return a slot whose row the caller has locked."""
    keys = live_keys(session, [row.provider])
    return _slot(row.provider, row.slot, row, keys, _probes(session, keys))


def _slot(
    provider: str, name: str, row: KeySlot | None, keys: Sequence[Key], probes: dict[str, Job]
) -> Slot:
    own = [key for key in keys if (key.provider, key.slot) == (provider, name)]
    others_good = any(
        key.state in USABLE and key.suspect_at is None
        for key in keys
        if key.provider == provider and key.slot != name
    )
    return Slot(provider, name, row, own, probes, others_good)


def _probes(session: Session, keys: Iterable[Key]) -> dict[str, Job]:
    return of_ids(session, [key.probe_job for key in keys if key.probe_job])


def _outcome(job_id: str | None, job: Job | None) -> Probe:
    """Return what the request that tries a key says about the key."""
    if job_id is None:
        return Probe.NONE
    if job is None:
        return Probe.UNCLEAR
    state = JobState(job.state)
    if not state.is_final:
        return Probe.UNDER_WAY
    if state is JobState.DONE:
        return Probe.PASSED
    error = job.error or {}
    if error.get("code") == "token_refused":
        return Probe.REFUSED
    status = error.get("status")
    if error.get("code") == "provider_refused" and isinstance(status, int) and 400 <= status < 500:
        return Probe.REFUSED if status in {401, 403} else Probe.FAILED
    return Probe.UNCLEAR


PROBE_DEADLINE = timedelta(minutes=10)
"""How long a request that tries a key may wait; then there is another one."""

APP = "sisgate"
"""The app of these requests in the ledger."""


def accept_probe(
    session: Session, vault: Vault, config: ProviderConfig, key: Key, now: datetime
) -> tuple[int, str, int]:
    """Accept a request that tries a key; return the call to publish after the commit.

    It is the dialect's cheapest request, or a GET of `rotation.canary_path`, and takes its turn
    within the provider's limit. As for every call, the reconciler finds a lost message.
    """
    request = config.dialect.probe_request()
    path = config.rotation.canary_path
    target = {
        "method": "GET" if path else request.method,
        "path": path or request.path,
        "query": {} if path else dict(request.query),
        "json": None if path else request.json_body,
    }
    new = NewJob(
        id=str(uuid.uuid4()),
        kind=JobKind.REQUEST,
        app=APP,
        provider=config.name,
        priority=Priority.URGENT,
        expires_at=now + PROBE_DEADLINE,
    )
    new = seal_request(vault, new, target)
    job, _ = acceptance.accept(session, new, now, published_at=now)
    with_key = {**new.options, "key": key.id}
    call_queue.plan(session, job, [NewCall(Purpose.REQUEST, target=with_key)], now)
    (call_id,) = call_queue.queue_next(session, job.id, 1, now)
    key.probe_job = job.id
    return call_id, config.name, int(Priority.URGENT)
