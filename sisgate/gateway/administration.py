"""What an admin does by the gateway: tokens, retention, and erasing persons."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from sisgate.access.desk import TokenDesk
from sisgate.access.gate import authenticate
from sisgate.access.policy import Action, Principal
from sisgate.audit.events import FEEDS_BEGUN_ANEW
from sisgate.audit.log import record
from sisgate.credentials.vault import Vault
from sisgate.gateway.audit import AuditLog
from sisgate.gateway.core import Core
from sisgate.gateway.master_keys import MasterKeys
from sisgate.ledger.records import begin_feeds_anew
from sisgate.privacy.erasure import Erasure, ErasureReport
from sisgate.privacy.persons import PEOPLE, Realms
from sisgate.privacy.retention import Retention
from sisgate.privacy.suppression import person_key


class Administration(Core):
    """The part of the gateway that decides about access and about what is kept."""

    @cached_property
    def tokens(self) -> TokenDesk:
        """Making, listing, revoking and replacing access tokens."""
        return TokenDesk(self.database, self.clock, self.access)

    @cached_property
    def audit(self) -> AuditLog:
        """The audit log: reading, verifying, exporting, archiving."""
        return AuditLog(self)

    def master_keys(self) -> MasterKeys:
        """Return the master keys: what each has sealed, and moving it all to the newest."""
        return MasterKeys(self.settings, self.database, self.redis, self.clock, self.access)

    def authenticate(self, token: str | None) -> Principal:
        """Return who a token stands for, whoever this gateway's own is; `NotAuthenticated` else."""
        return authenticate(self.database, self.clock, token)

    @property
    def retention(self) -> Retention:
        """What is kept how long: a preview, and deleting what is over. For admins."""
        principal = self.access.pass_through(Action.ADMINISTER)
        return Retention(self.database, self.settings, self.clock, by=principal.token_actor)

    def begin_feeds_anew(self, *, actor: str, reason: str = "") -> Sequence[str]:
        """Have every reader of changes start anew, after an older ledger was restored.

        Whatever cursor an app holds, it then gets `CursorTooOld`, and no changes that got the same
        numbers twice are missed. Returns the datasets as `PROVIDER/RESOURCE`.
        """
        principal = self.access.pass_through(Action.ADMINISTER)
        who = principal.token_actor or actor
        with self.database.write() as session:
            begun = begin_feeds_anew(session)
            record(
                session, self.clock.now(), actor=who, action=FEEDS_BEGUN_ANEW, subject="ledger",
                reason=reason or None, datasets=len(begun),
            )  # fmt: skip
        return begun

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
        """Erase a person, and report what was done and what a search found afterwards.

        `resource` is `students` or `teachers` where the id alone does not say which. `suppress`
        keeps the person out of later syncs. `dry_run` only counts. Raises `UnknownPerson`.
        """
        erasure, who = self._erasure(provider, actor)
        if dry_run:
            return erasure.preview(sourced_id, resource)
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
        """Let later syncs bring an erased person again; return whether they were kept out."""
        erasure, who = self._erasure(provider, actor)
        return erasure.lift(sourced_id, resource, actor=who, reason=reason)

    def pseudonyms(self, provider: str, sourced_id: str) -> Sequence[str]:
        """Return what stands for a person in the audit log, as a student and as a teacher."""
        self.access.pass_through(Action.ADMINISTER)
        realms = Realms.of(self.provider(provider))
        with self.database.write() as session:
            key = person_key(session, self._vault)
        found = {realms.of_resource(resource) for resource in PEOPLE}
        return [key.pseudonym(provider, realm, sourced_id) for realm in sorted(found)]

    def _erasure(self, provider: str, actor: str) -> tuple[Erasure, str]:
        config = self.provider(provider)
        principal = self.access.pass_through(Action.ADMINISTER)
        who = principal.token_actor or actor
        return Erasure(self.database, config, self._vault, self.clock), who

    @property
    def _vault(self) -> Vault:
        """What seals requests and opens them and their answers."""
        return self.context.vault
