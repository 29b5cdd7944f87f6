"""What all parts of the gateway share: the context and the caller."""

from typing import Any

from sisgate import __version__
from sisgate.access.authorizer import Authorizer
from sisgate.access.policy import Action, Decision, Principal, covers_some
from sisgate.audit.log import record
from sisgate.configuration import FleetConfiguration
from sisgate.context import Context
from sisgate.domain.validation import check_resources, did_you_mean, some_of
from sisgate.errors import UnknownProvider
from sisgate.gateway.removed_providers import removal_error
from sisgate.settings import ProviderConfig, Settings


class Core:
    """One caller's view of the shared context. Opens no connections of its own."""

    def __init__(
        self, context: Context, *, principal: Principal | None = None, user: str | None = None
    ) -> None:
        self.context = context
        self.settings = settings = context.settings
        self.user = user
        """The user of this machine, for the audit log; None in an app, which has a name."""
        self._is_named = principal is not None
        # The environment of this process does not name another caller.
        self._own_name = settings.app_name if principal is None else None
        self.configuration = context.configuration
        self.clock = context.clock
        self.database = context.database
        self.redis = context.redis
        self.wakeups = context.wakeups
        self.limiter = context.limiter
        self.access = Authorizer(
            self.database,
            self.clock,
            required=settings.access == "tokens",
            token=settings.token,
            principal=principal,
        )

    def provider(self, name: str) -> ProviderConfig:
        """Return the configuration of a provider; `UnknownProvider` if there is none.

        That is `ProviderRemoved` if there was one. Of other providers, the error names those that
        the caller has something to do with.
        """
        configuration = self.configuration.current()
        if name not in configuration.providers:  # it may have been added a moment ago
            configuration = self.configuration.refresh()
        config = configuration.providers.get(name)
        if config is None:
            caller = self.access.principal()
            if configuration.version and covers_some(caller, name):
                if why := configuration.problems_of(name):
                    raise UnknownProvider(
                        f"Version {__version__} of sisgate, which runs here, cannot use {name}: "
                        f"{'; '.join(why)}. Run the same version everywhere.",
                        provider=name,
                    )
                if removed := removal_error(self.database, name):
                    raise removed
            known = [each for each in sorted(configuration.providers) if covers_some(caller, each)]
            raise UnknownProvider(
                f"No provider {name!r} is configured in {self.place_of(configuration)}. "
                f"Configured: {some_of(known)}.{did_you_mean(name, known)}",
                provider=name,
            )
        return config

    def place_of(self, configuration: FleetConfiguration) -> str:
        """Return where a configuration is from, for messages."""
        if configuration.version:
            return f"version {configuration.version} of the configuration"
        return str(self.settings.config_file or "sisgate.toml")

    def check_dataset(self, provider: str, *resources: str) -> None:
        """Raise `UnknownProvider` or `UnknownResource`, which lists the valid names."""
        if provider == "*":
            every = self.configuration.current().providers.values()
            offered = {each for config in every for each in config.dialect_class.resources}
            check_resources("*", "The fleet", sorted(offered), resources)
            return
        config = self.provider(provider)
        known = tuple(config.dialect_class.resources)
        check_resources(provider, f"{provider} ({config.kind})", known, resources)

    def require_unless_local(self, action: Action) -> None:
        """Check a caller other than the user of this process, who has access to its files anyway.

        For local actions that must work even if no token can be checked.
        """
        if self._is_named:
            self.access.require(action)

    def audit(self, actor: str, action: str, subject: str, **detail: Any) -> None:
        """Write a single event about an action of the caller.

        It names `actor`, unless a token identifies the caller.
        """
        actor = self.access.principal().token_actor or actor
        with self.database.write() as session:
            record(session, self.clock.now(), actor=actor, action=action, subject=subject, **detail)

    def check_purpose(self, purpose: str | None) -> None:
        """Raise `UsageError` if the calling app has to state a purpose and does not."""
        principal = self.access.principal()
        app = principal.name if principal.kind == "token" else self.settings.app_name
        self.configuration.current().app(app).check_purpose(purpose)

    def asker(self) -> str | None:
        """Return the caller for the audit log: the token's owner, else the user of the machine."""
        return self.access.principal().token_actor or self.user

    def app_of(self, principal: Principal, named: str | None) -> str | None:
        """Return the owner of a job: with a token, the token's app."""
        if principal.may_name_apps:
            return named
        own = self._own_name
        app = named or (own if own != Settings.model_fields["app_name"].default else None)
        if app not in {None, principal.name}:
            reason = f"its token is that of {principal.name}, so it cannot ask as {app}"
            self.access.refuse(principal, Action.ENQUEUE, f"app {app}", Decision(False, reason))
        return principal.name
