"""Personal data: erasing a person, keeping one out of syncs, retention."""

from collections.abc import Sequence

from sisgate.access.policy import Action
from sisgate.errors import UsageError
from sisgate.gateway.core import Core
from sisgate.privacy.erasure import Erasure, ErasureReport
from sisgate.privacy.persons import PEOPLE, Realms
from sisgate.privacy.retention import Retention
from sisgate.privacy.suppression import person_key


class Privacy:
    """For admins. Methods raise `AccessDenied` and `DatabaseUnavailable`."""

    def __init__(self, core: Core) -> None:
        self._core = core

    @property
    def retention(self) -> Retention:
        """Retention: a preview, and deletion of expired data."""
        core = self._core
        principal = core.access.require(Action.ADMINISTER)
        return Retention(
            core.database, core.configuration.current(), core.clock, by=principal.token_actor
        )

    def erase(
        self,
        provider: str,
        sourced_id: str,
        *,
        actor: str,
        reason: str = "",
        resource: str | None = None,
        suppress: bool = True,
        dry_run: bool = False,
    ) -> ErasureReport:
        """Erase a person; report the deletions and the result of a search afterwards.

        `resource` is `students` or `teachers` if the id is ambiguous. `suppress`
        keeps the person out of later syncs. `dry_run` only counts; else `reason` is needed, for the
        audit log, and names nobody. Raises `UnknownPerson`.
        """
        erasure, who = self._erasure(provider, actor)
        if dry_run:
            return erasure.preview(sourced_id, resource)
        _require(reason)
        return erasure.run(sourced_id, resource, actor=who, reason=reason, suppress=suppress)

    def lift(
        self,
        provider: str,
        sourced_id: str,
        *,
        actor: str,
        reason: str,
        resource: str | None = None,
    ) -> bool:
        """Let later syncs store an erased person again; return whether they were suppressed."""
        erasure, who = self._erasure(provider, actor)
        _require(reason)
        return erasure.lift(sourced_id, resource, actor=who, reason=reason)

    def pseudonyms(self, provider: str, sourced_id: str) -> Sequence[str]:
        """Return a person's pseudonyms in the audit log, as a student and as a teacher."""
        self._core.access.require(Action.ADMINISTER)
        realms = Realms.of(self._core.provider(provider))
        with self._core.database.write() as session:
            key = person_key(session, self._core.context.vault)
        own = sorted({realms.of_resource(resource) for resource in PEOPLE})
        return [key.pseudonym(provider, realm, sourced_id) for realm in own]

    def _erasure(self, provider: str, actor: str) -> tuple[Erasure, str]:
        config = self._core.provider(provider)
        principal = self._core.access.require(Action.ADMINISTER)
        who = principal.token_actor or actor
        return Erasure(self._core.database, config, self._core.context.vault, self._core.clock), who


def _require(reason: str) -> None:
    if not reason:
        raise UsageError("Give a reason for the audit log, without naming the person.")
