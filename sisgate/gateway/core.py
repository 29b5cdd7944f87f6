"""What every part of the gateway works with: settings, connections, and who asks."""

from __future__ import annotations

from sisgate.access.gate import Gate
from sisgate.access.policy import Principal
from sisgate.clock import Clock
from sisgate.context import Context
from sisgate.domain.choices import did_you_mean
from sisgate.errors import UnknownProvider, UnknownResource
from sisgate.ledger.database import Database
from sisgate.settings import ProviderConfig, Settings


class Core:
    """Settings, ledger, Redis and the check of who asks. Nothing is connected before it is used."""

    def __init__(
        self,
        settings: Settings,
        *,
        database: Database | None = None,
        clock: Clock | None = None,
        principal: Principal | None = None,
        user: str | None = None,
    ) -> None:
        self.context = context = Context(settings, clock=clock, database=database)
        self.settings = settings
        self.user = user
        """Who works at this machine, for the audit log; None in an app, which has its name."""
        self.clock = context.clock
        self.database = context.database
        self.access = Gate(
            self.database,
            self.clock,
            required=settings.access == "tokens",
            token=settings.token,
            principal=principal,
        )
        self.redis = context.redis
        self.wakeups = context.wakeups
        self.limiter = context.limiter

    def close(self) -> None:
        """Close all connections."""
        self.context.close()

    def provider(self, name: str) -> ProviderConfig:
        """Return the configuration of a provider; `UnknownProvider` where there is none."""
        config = self.settings.providers.get(name)
        if config is None:
            known = ", ".join(sorted(self.settings.providers)) or "none"
            raise UnknownProvider(
                f"No provider {name!r} is configured in "
                f"{self.settings.config_file or 'sisgate.toml'}. Configured: {known}."
                f"{did_you_mean(name, self.settings.providers)}",
                provider=name,
            )
        return config

    def check_dataset(self, provider: str, *resources: str) -> None:
        """Raise `UnknownProvider`, or `UnknownResource` that lists what there is."""
        config = self.provider(provider)
        known = config.dialect_class.resources
        unknown = [resource for resource in resources if resource not in known]
        if unknown:
            raise UnknownResource(
                f"{provider} ({config.kind}) has no resource {', '.join(map(repr, unknown))}; it "
                f"has {', '.join(known)}.{did_you_mean(unknown[0], known)}",
                provider=provider,
            )
