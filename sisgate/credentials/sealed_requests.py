"""What a `request` job asks of a provider, sealed: path, query and body may name students.

Only the method stays readable, because whether a request may be repeated depends on it. It is
opened by the worker that makes the call and by the gateway that repeats the job.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sisgate.credentials.vault import Vault
from sisgate.errors import InvalidState
from sisgate.ledger.jobs import NewJob
from sisgate.ledger.schema import Job


def seal_request(vault: Vault, job: NewJob, target: Mapping[str, Any]) -> NewJob:
    """Return the job with what it asks for sealed. `target` has method, path, query and json."""
    text = json.dumps(dict(target), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    sealed = vault.seal(text.encode(), context_of(job.id))
    return replace(job, options={"method": target["method"]}, sealed_request=sealed)


def open_request(vault: Vault, job: Job) -> dict[str, Any]:
    """Return method, path, query and json of a request job.

    Rows of before requests were sealed hold them in plain text. Raises `CredentialError` where it
    does not open, `InvalidState` where it was erased.
    """
    if job.sealed_request is not None:
        target: dict[str, Any] = json.loads(vault.open(job.sealed_request, context_of(job.id)))
        return target
    if "path" not in job.options:
        raise InvalidState(
            f"What job {job.id} asked for was erased, because it named a person. It cannot be "
            "made (again).",
            job=job.id,
        )
    return dict(job.options)


def marks_of(vault: Vault, app: str, provider: str, target: Mapping[str, Any]) -> list[str]:
    """Return what the same question of the same app is found again by, the newest key's first.

    It tells neither path nor query, which may name students, and cannot be guessed without a master
    key. After a change of master keys an answer is found as long as its key is still there.
    """
    words = [app, provider, *(target[name] for name in ("method", "path", "query", "json"))]
    text = json.dumps(words, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return vault.marks(text.encode(), "requests")


def context_of(job_id: str) -> str:
    """Return the place that a sealed request is bound to."""
    return f"jobs/{job_id}"
