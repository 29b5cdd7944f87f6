"""How the endpoints of a provider are checked: `[providers.NAME.health]`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from sisgate.domain.paths import usable_path
from sisgate.errors import UsageError
from sisgate.settings.frozen import Frozen


class HealthConfig(Frozen):
    """A GET of `path` at each endpoint, without credentials, that is to answer one of `expected`.

    `counts`: the provider counts it against its quota, so that each takes a permit.
    """

    path: str
    interval_seconds: Annotated[float, Field(ge=1, le=3600)] = 60.0
    expected: Annotated[tuple[Annotated[int, Field(ge=100, le=599)], ...], Field(min_length=1)] = (
        200,
    )
    timeout_seconds: Annotated[float, Field(gt=0, le=30)] = 5.0
    counts: bool = True

    @field_validator("path")
    @classmethod
    def _path_is_usable(cls, value: str) -> str:
        try:
            return usable_path(value)
        except UsageError as error:
            raise ValueError(error.message) from None

    @property
    def holds_seconds(self) -> float:
        """How long a finding holds where no further check is made: nobody may be checking."""
        return 3 * self.interval_seconds + self.timeout_seconds + 60
