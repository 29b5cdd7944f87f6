"""Everything that is sealed: where it is, moving it to the newest master key; sealed requests.

What a `request` job asks of a provider is sealed because path, query and body may name students.
Only the method stays readable, because whether a request may be repeated depends on it.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy.orm import Session

from sisgate.credentials.keys import context_of, first_context_of
from sisgate.credentials.master import ID_BYTES
from sisgate.credentials.stored_tokens import StoredTokens
from sisgate.credentials.vault import Vault
from sisgate.errors import BrokerUnavailable, CredentialError, InvalidState
from sisgate.ledger.acceptance import NewJob
from sisgate.ledger.calls import ClaimedJob
from sisgate.ledger.database import Database
from sisgate.ledger.schema import Base, Job, Key, PrivacyKey, Response, Webhook
from sisgate.ledger.sealed import SealedColumn

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode


def seal_request(vault: Vault, job: NewJob, target: Mapping[str, Any]) -> NewJob:
    """Return the job with its request sealed. `target` is as `sisgate.domain.targets` says."""
    text = _encode(dict(target))
    sealed = vault.seal(text.encode(), request_context(job.id))
    shown = {name: target[name] for name in ("method", "transform") if name in target}
    return replace(job, options=shown, sealed_request=sealed)


def open_request(vault: Vault, job: Job | ClaimedJob) -> dict[str, Any]:
    """Return the target of a request job, as `sisgate.domain.targets` describes it.

    Rows from before requests were sealed hold them in plain text. Raises `CredentialError` if it
    does not open, `InvalidState` if it was erased.
    """
    if job.sealed_request is not None:
        target: dict[str, Any] = json.loads(vault.open(job.sealed_request, request_context(job.id)))
        return target
    if "path" not in job.options:
        raise InvalidState(
            f"What job {job.id} asked for was erased, because it named a person. It cannot be "
            "made (again).",
            job=job.id,
        )
    return dict(job.options)


def marks_of(vault: Vault, provider: str, target: Mapping[str, Any], *whose: str) -> list[str]:
    """Return the marks by which the same request is found again, newest key first.

    `whose` is what else must be the same.
    They reveal neither path nor query, which may name students, and cannot be guessed without a
    master key. After a change of master keys, an answer is found while its key is still there.
    """
    parts = [*whose, provider, *(target[name] for name in ("method", "path", "query", "json"))]
    parts += [target[name] for name in ("headers", "body", "transform") if name in target]
    text = _encode(parts)
    return vault.marks(text.encode(), "requests")


def request_context(job_id: str) -> str:
    """Return the place that a sealed request is bound to."""
    return f"jobs/{job_id}"


BATCH = 100
"""Rows that are moved in one transaction."""

SEALED: tuple[SealedColumn, ...] = (
    SealedColumn(Key, Key.id, Key.sealed_secret, context_of, first_context_of),
    SealedColumn(
        Response, Response.job_id, Response.sealed_body, lambda row: f"responses/{row.job_id}"
    ),
    SealedColumn(
        PrivacyKey, PrivacyKey.name, PrivacyKey.sealed_key, lambda row: f"privacy_keys/{row.name}"
    ),
    SealedColumn(Job, Job.id, Job.sealed_request, lambda row: request_context(row.id)),
    SealedColumn(Webhook, Webhook.id, Webhook.sealed_secret, lambda row: f"webhooks/{row.id}"),
    SealedColumn(Webhook, Webhook.id, Webhook.sealed_former, lambda row: f"webhooks/{row.id}"),
)
"""All sealed columns of the ledger: code that seals another one adds it here."""

OF_PROVIDERS = SEALED[:1]
"""The secrets of providers, without which no call is made."""

TOKENS = "tokens"
"""The access tokens in Redis, as a place."""


@dataclass(frozen=True)
class Progress:
    """How far a rewrap is: in which column, how many rows of how many have been moved."""

    name: str
    moved: int
    total: int
    unopened: tuple[str, ...] = field(default=())
    """Places that do not open: their master key is missing, or they were changed."""


def uses(database: Database, columns: Sequence[SealedColumn] = SEALED) -> dict[str, Counter[str]]:
    """Return how many texts each master key has sealed, by its id in hex and by place.

    Access tokens are not among them: one that does not open is fetched anew.
    """
    counts: dict[str, Counter[str]] = {}
    with database.read() as session:
        for sealed in columns:
            for master, count in sealed.masters(session, ID_BYTES):
                counts.setdefault(master.hex(), Counter())[sealed.name] += count
    return counts


def rewrap(database: Database, vault: Vault, tokens: StoredTokens | None) -> Iterator[Progress]:
    """Move everything to the newest master key; yield after each batch.

    It may be stopped anywhere and started again: what has been moved is skipped. It is safe beside
    a running fleet: a row that was changed meanwhile is left to its writer. Access tokens of other
    master keys are dropped and fetched anew.
    """
    for sealed in SEALED:
        yield from _rewrap_column(database, vault, sealed)
    if tokens is not None:
        with suppress(BrokerUnavailable):
            dropped = tokens.drop_others(vault.newest_header)
            yield Progress(TOKENS, dropped, dropped)


def _rewrap_column(database: Database, vault: Vault, sealed: SealedColumn) -> Iterator[Progress]:
    with database.read() as session:
        total = sealed.count_others(session, vault.newest_header)
    if not total:
        return
    moved, unopened, last = 0, list[str](), ""
    while True:
        with database.write() as session:
            rows = sealed.others(session, vault.newest_header, last, BATCH)
            for row in rows:
                last = str(getattr(row, sealed.key.key))
                try:
                    moved += _move(session, vault, sealed, row)
                except CredentialError:
                    unopened.append(f"{sealed.table.__tablename__}/{last}")
        if rows:
            yield Progress(sealed.name, moved, total, tuple(unopened))
        if len(rows) < BATCH:
            return


def _move(session: Session, vault: Vault, sealed: SealedColumn, row: Base) -> int:
    old: bytes = getattr(row, sealed.column.key)
    first = sealed.first_context(row) if sealed.first_context else None
    new = vault.rewrap(old, sealed.context(row), first_context=first)
    return sealed.replace(session, row, new)
