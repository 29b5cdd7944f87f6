"""The provider's response to a `request` job, and its target. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sisgate.domain.targets import StoredQuery, query_pairs
from sisgate.errors import ProviderRefused
from sisgate.providers.http import HttpResponse

Origin = Literal["call", "shared", "stored"]
"""Where the answer to a request comes from."""


@dataclass(frozen=True)
class Answer:
    """One response of a provider, as if it had been called directly.

    `body` holds student data, so the repr omits it. `truncated`: it exceeded the configured
    cap. `age_seconds` is its age, None if unknown. `is_stale`: an old response, because the
    provider gave no new one. `origin`: a `call` of its own, one `shared` with an identical request
    in flight, or a `stored` response.
    """

    job_id: str
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    truncated: bool = False
    age_seconds: float | None = None
    is_stale: bool = False
    origin: Origin = "call"

    @property
    def ok(self) -> bool:
        """Whether the status is below 400."""
        return self.status < 400

    @property
    def text(self) -> str:
        """The body as text: UTF-8, or what `content-type` declares where it is not that."""
        return HttpResponse(self.status, self.headers, self.body).text

    def json(self) -> Any:
        """Return the body as JSON; `ValueError` if it is not JSON."""
        try:
            return json.loads(self.body)
        except UnicodeDecodeError:
            return json.loads(self.text)

    def raise_for_status(self) -> Answer:
        """Return self, or raise `ProviderRefused` if the status is 400 or above."""
        if self.ok:
            return self
        raise ProviderRefused(
            f"The provider answered {self.status}.", status=self.status, job=self.job_id
        )


@dataclass(frozen=True)
class RequestTarget:
    """The target of a `request` job. `hidden` says why path and query are not shown.

    `query` is a mapping, or a list of pairs if a name occurs several times.
    """

    method: str | None
    path: str | None = None
    query: StoredQuery | None = None
    hidden: str | None = None

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The parameters of the query as pairs."""
        return query_pairs(self.query)
