"""How the keys of a provider are replaced: `[providers.NAME.rotation]`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from sisgate.domain.paths import usable_path
from sisgate.errors import UsageError
from sisgate.settings.frozen import Frozen


class RotationConfig(Frozen):
    """How the keys of a provider are replaced; `sisgate.credentials.rotation` tells what follows.

    `source` is `hand` (a person stages the new key) or the name of an entry point of the group
    `sisgate.key_sources`; `options` are handed to it.
    """

    interval: Annotated[timedelta, Field(gt=timedelta(0))] | None = None
    overlap: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(days=1)
    warn_before: Annotated[timedelta, Field(ge=timedelta(0))] = timedelta(days=14)
    check_every: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(minutes=1)
    retry_after: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(hours=1)
    source: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")] = "hand"
    source_seconds: Annotated[float, Field(gt=0, le=120)] = 30.0
    options: dict[str, Any] = Field(default_factory=dict)
    canary_path: str | None = None

    @property
    def has_source(self) -> bool:
        """Whether a plug-in brings new keys."""
        return self.source != "hand"

    @field_validator("canary_path")
    @classmethod
    def _canary_path_is_usable(cls, value: str | None) -> str | None:
        try:
            return usable_path(value) if value is not None else None
        except UsageError as error:
            raise ValueError(error.message) from None

    @model_validator(mode="after")
    def _overlap_ends_in_time(self) -> RotationConfig:
        if self.interval is not None and self.overlap >= self.interval:
            raise ValueError("overlap is shorter than interval")
        return self
