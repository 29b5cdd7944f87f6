"""The provider's answer to a `request` job."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sisgate.errors import ProviderRefused


@dataclass(frozen=True)
class Answer:
    """One response of a provider, as if it had been called directly.

    `body` holds student data, so the repr leaves it out. `truncated` tells that it was longer
    than the configured cap. `age_seconds` is how long ago it came, None where that was not noted.
    `is_stale` tells that it is an old one, given because no new one could be had.
    """

    job_id: str
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    truncated: bool = False
    age_seconds: float | None = None
    is_stale: bool = False

    @property
    def ok(self) -> bool:
        """Whether the status is below 400."""
        return self.status < 400

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", errors="replace")

    def json(self) -> Any:
        """Return the body as JSON; `ValueError` where it is not."""
        return json.loads(self.body)

    def raise_for_status(self) -> Answer:
        """Return self, or raise `ProviderRefused` where the status is 400 or above."""
        if self.ok:
            return self
        raise ProviderRefused(
            f"The provider answered {self.status}.", status=self.status, job=self.job_id
        )
