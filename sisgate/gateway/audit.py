"""The audit log: reading, verifying, exporting and archiving it."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from sisgate.access.policy import Action
from sisgate.audit import archive, export, sealer, verification
from sisgate.audit.findings import OF_HEADS, VerificationResult
from sisgate.audit.heads import Head, head_of, read_heads
from sisgate.audit.keys import AuditKey, KeyRing, Verifiers, write_new_key
from sisgate.audit.log import record
from sisgate.audit.verification import Progress
from sisgate.domain.validation import aware
from sisgate.errors import DatabaseUnavailable, SisgateError, UsageError
from sisgate.gateway.audit_following import Following
from sisgate.gateway.core import Core
from sisgate.gateway.job import only_id
from sisgate.ledger import audit_log, audit_verifications, job_search
from sisgate.ledger.audit_chain import EVENT_COLUMNS, newest_seal
from sisgate.ledger.audit_log import AuditFilter
from sisgate.ledger.schema import AuditEvent, AuditVerification
from sisgate.monitoring.counting import count_next
from sisgate.privacy.disclosures import PersonDisclosure, disclosures_of
from sisgate.privacy.persons import PEOPLE, Person, Realms, checked_resource
from sisgate.privacy.suppression import person_key

EXPORT_COLUMNS = (
    "row", *EVENT_COLUMNS, "mac", "events", "total", "covers", "digest", "head", "key", "signature",
)  # fmt: skip
"""Columns of an exported log; `row` tells events, seals and the head apart."""


def verify_signed(
    path: Path,
    public_keys: Iterable[str],
    *,
    heads: Sequence[Path] = (),
    progress: Progress = lambda _: None,
) -> VerificationResult:
    """Verify an exported file with public keys alone, as an auditor does on another machine.

    A key is `ID:BASE64`, or the path of a file of such lines. The result reports changes since the
    export and contradictions to earlier `heads`. Raises `UsageError` and `AuditError`.
    """
    keys = Verifiers.public(public_keys)
    return export.verify_file(path, keys, progress, heads=read_heads(heads, keys))


class AuditLog:
    """Access to the audit log for admins. Verifying it also needs the audit keys.

    Methods raise `AccessDenied`, `CredentialError` and `AuditError`.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._settings = core.settings
        self._database = core.database
        self._clock = core.clock
        self._access = core.access

    def tail(self, wanted: AuditFilter | None = None, *, limit: int = 50) -> Sequence[AuditEvent]:
        """Return the newest matching events, newest first.

        Raises `UnknownJob` if no job's id begins as that of `wanted`, `UsageError` if several do.
        """
        self._access.require(Action.ADMINISTER)
        wanted = self._checked(wanted or AuditFilter())
        with self._database.read() as session:
            return audit_log.tail(session, wanted, limit=limit)

    def search(self, wanted: AuditFilter) -> Iterator[AuditEvent]:
        """Stream the matching events, oldest first; errors as `tail`."""
        self._access.require(Action.ADMINISTER)
        return self._search(self._checked(wanted))

    def _checked(self, wanted: AuditFilter) -> AuditFilter:
        """Return the filter with the whole id of the job that it names by a beginning.

        The log knows jobs that the ledger has deleted. Raises `UnknownJob`, and `UsageError` for
        several, or for times that cannot be compared.
        """
        wanted = replace(
            wanted, since=aware("since", wanted.since), until=aware("until", wanted.until)
        )
        beginning = given = (wanted.job or "").strip()
        if not given:
            return wanted
        ids: Sequence[str] = ()
        with self._database.read() as session:
            for beginning in dict.fromkeys((given, given.lower())):
                ids = job_search.ids_beginning(
                    session, beginning, app=None, places=[("*", "*")], limit=3
                ) or audit_log.jobs_beginning(session, beginning, limit=3)
                if ids:
                    break
        return replace(wanted, job=only_id(ids, beginning))

    def _search(self, wanted: AuditFilter) -> Iterator[AuditEvent]:
        with self._database.read() as session:
            yield from audit_log.search(session, wanted)

    def disclosures(
        self,
        provider: str,
        sourced_id: str,
        *,
        actor: str,
        resource: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Sequence[PersonDisclosure]:
        """Return who read a person's records or responses with their data, oldest first.

        `resource` is `students` or `teachers` if the provider numbers them separately; by default
        both are searched. The query itself is audited under the person's pseudonym. Raises
        `UnknownProvider`, and `UsageError` for another resource.
        """
        principal = self._access.require(Action.ADMINISTER)
        since, until = aware("since", since), aware("until", until)
        config = self._core.provider(provider)
        realms = Realms.of(config)
        resources = PEOPLE if resource is None else (resource,)
        checked_resource(resource)
        disclosures: list[PersonDisclosure] = []
        with self._database.write() as session:
            key = person_key(session, self._core.context.vault)
            for realm in sorted({realms.of_resource(each) for each in resources}):
                person = Person(provider, realms, realm, sourced_id)
                disclosures += disclosures_of(session, person, key, since=since, until=until)
                record(
                    session, self._clock.now(), actor=principal.token_actor or actor,
                    action="audit:person:disclosures", provider=provider,
                    subject=key.pseudonym(provider, realm, sourced_id),
                )  # fmt: skip
        return sorted(dict.fromkeys(disclosures), key=lambda each: each.at)

    def follow(self, wanted: AuditFilter, seen: Sequence[AuditEvent]) -> Following:
        """Return an object that yields the matching events after those in `seen`."""
        return Following(self.search, wanted, seen, self._clock.now())

    def sealed_events(self) -> int | None:
        """Return the number of sealed events, the total of `verify`'s progress; None for none."""
        self._access.require(Action.ADMINISTER)
        with self._database.read() as session:
            newest = newest_seal(session)
        return newest.total if newest else None

    def verify(
        self, *, heads: Sequence[Path] = (), progress: Progress = lambda _: None
    ) -> VerificationResult:
        """Verify the whole log, and its end against files of heads.

        Without `heads`, the configured file is used if it exists. What is found is noted in the
        ledger, for alerts.
        """
        self._access.require(Action.ADMINISTER)
        keys = self.keys
        default = self._settings.audit_heads_path
        files = list(heads) or ([default] if default.exists() else [])
        # Read them before the database: see `verification.verify`.
        kept = read_heads(files, keys)
        with self._database.snapshot() as session:
            result = verification.verify(session, keys, kept, progress, now=self._clock.now())
        with suppress(DatabaseUnavailable), self._database.write() as session:  # it may be a copy
            row = AuditVerification(
                at=self._clock.now(), events=result.events,
                issues={kind.value: count for kind, count in result.counts.items()},
                by_heads=not OF_HEADS.isdisjoint(result.counts),
            )  # fmt: skip
            audit_verifications.note(session, row)
        return result

    def verify_export(
        self, path: Path, *, heads: Sequence[Path] = (), progress: Progress = lambda _: None
    ) -> VerificationResult:
        """Verify an exported file with the audit keys, without the ledger."""
        self._access.require(Action.ADMINISTER)
        return export.verify_file(path, self.keys, progress, heads=read_heads(heads, self.keys))

    def export(self) -> Iterator[str]:
        """Stream the whole log as lines of JSON that `verify_export` can check."""
        self._access.require(Action.ADMINISTER)
        keys = self.keys
        sealer.seal(self._database, keys, self._clock)
        return self._export(keys)

    def _export(self, keys: KeyRing) -> Iterator[str]:
        with self._database.snapshot() as session:
            yield from export.lines(session, keys)

    def seal(self) -> int | None:
        """Seal new events now; return the seal's number, or None without any."""
        self._access.require(Action.ADMINISTER)
        new = sealer.seal(self._database, self.keys, self._clock)
        return new.number if new else None

    def head(self) -> Head | None:
        """Return the signed head of the newest seal, to keep on another system."""
        self._access.require(Action.ADMINISTER)
        with self._database.read() as session:
            newest = newest_seal(session)
        return head_of(newest, self.keys) if newest else None

    def archive(
        self, wanted: archive.Segment, path: Path, *, actor: str, reason: str | None = None
    ) -> archive.Archived:
        """Move old sealed events into a file; see `docs/explanation/audit.md`."""
        principal = self._access.require(Action.ADMINISTER)
        actor = principal.token_actor or actor
        # Calls are counted from the log: none must leave it before.
        while count_next(self._database):
            pass
        return archive.archive(
            self._database, self.keys, self._clock, wanted, path, actor=actor, reason=reason
        )

    def public_keys(self) -> Sequence[str]:
        """Return the public parts of the audit keys for an auditor, newest first."""
        self._access.require(Action.ADMINISTER)
        return [str(key.public) for key in self.keys.keys]

    def new_key(self, file: Path) -> AuditKey:
        """Add a new first key to an audit key file; the old keys stay for verification.

        Raises `UsageError` for an existing file that is not the configured `audit_key_file`.
        """
        self._access.require(Action.ADMINISTER)
        own = self._settings.audit_key_file
        try:
            old = self.keys.keys
        except SisgateError:
            if file.exists() or own is None:
                raise
            old = ()  # the configured file does not exist yet
        if file.exists() and own != file.absolute():
            raise UsageError(f"{file} exists, and is not the configured audit_key_file.")
        return write_new_key(file, old)

    @property
    def keys(self) -> KeyRing:
        """The audit keys of this process. `CredentialError`."""
        return self._core.context.audit_keys
