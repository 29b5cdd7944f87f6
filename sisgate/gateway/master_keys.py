"""The master keys: what each has sealed, moving everything to the newest, forgetting an old one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sisgate.access.policy import Action
from sisgate.audit import log as audit
from sisgate.audit.keys import AuditKey, read_audit_keys
from sisgate.credentials import sealed
from sisgate.credentials.master import drop_master_key, make_master_key, renew_master_key
from sisgate.credentials.sealed import Progress
from sisgate.credentials.stored_tokens import StoredTokens
from sisgate.credentials.vault import vault_of
from sisgate.errors import InvalidState, UsageError
from sisgate.gateway.core import Core
from sisgate.gateway.ledger import Ledger
from sisgate.gateway.missing_keys import GIVEN_UP, at_hand, missing_keys
from sisgate.ledger.audit_chain import is_made_with


@dataclass(frozen=True)
class MasterKeyUse:
    """One master key: its id in hex, where it was read from, what it has sealed by place.

    `origin` is None for one that sealed something and that this process does not have.
    """

    id: str
    origin: str | None
    is_newest: bool
    sealed: Mapping[str, int] = field(default_factory=dict)


class MasterKeys:
    """Needs the master keys of the fleet, as workers do, and the right to administer it.

    Methods raise `CredentialError` and `AccessDenied`.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._settings = core.settings
        self._database = core.database
        self._tokens = StoredTokens(core.redis)
        self._clock = core.clock
        self._access = core.access

    def list(self) -> list[MasterKeyUse]:
        """Return the keys, the newest first; then those that are missing."""
        self._access.require(Action.ADMINISTER)
        vault = vault_of(self._settings)
        found = sealed.uses(self._database)
        known = [
            MasterKeyUse(key.id.hex(), key.origin, key is vault.newest, found.pop(key.id.hex(), {}))
            for key in vault.masters
        ]
        return known + [MasterKeyUse(each, None, False, uses) for each, uses in found.items()]

    def make(self, path: Path | None = None) -> bool:
        """Make a key file, unless there is one; return whether it was made.

        Without `path` that is where keys are read from, unless they come from somewhere else.
        Raises `OSError`. `check_ledger` says whether another key is needed.
        """
        self._core.require_unless_local(Action.ADMINISTER)
        if path is None and at_hand(self._settings):
            return False
        return make_master_key(path or self._settings.master_key_path)

    def renew(self, path: Path) -> str:
        """Put a new key above those of a file and return its id. Raises `OSError`."""
        self._core.require_unless_local(Action.ADMINISTER)
        return renew_master_key(path).id.hex()

    def check_ledger(self) -> None:
        """Raise `CredentialError` where the ledger is in use with a key that is not here.

        `UsageError` where its tables are not those of the code, `DatabaseUnavailable` where it
        cannot be asked.
        """
        self._core.require_unless_local(Action.ADMINISTER)
        settings = self._settings
        if settings.is_embedded_database and not (settings.data_dir / "sisgate.db").exists():
            return
        found = Ledger(self._core).version()
        if found.version is None:
            return
        if not found.is_newest:
            raise UsageError("The ledger is of another version: run `sisgate db upgrade` first.")
        if error := missing_keys(settings, self._database).error:
            raise error

    def rewrap(self, *, actor: str, reason: str | None = None) -> Iterator[Progress]:
        """Seal everything with the newest master key, and yield after each batch.

        May be interrupted and begun again; safe while the fleet works.
        """
        self._access.require(Action.ADMINISTER)
        vault = vault_of(self._settings)
        # Told before it begins: an interrupted one has moved something too.
        self._note("keys:master:rewrap", vault.newest.id.hex(), actor, reason)
        yield from sealed.rewrap(self._database, vault, self._tokens)

    def forget(self, key_id: str, *, actor: str, reason: str | None = None) -> str:
        """Take a master key out of its file and return its id; `key_id` may be cut short.

        `UsageError` where there is no such key or it stands in no file, `InvalidState` where it is
        the newest, something is still sealed with it, or the audit log is still proven by it.
        """
        found = [key for key in self.list() if key_id and key.id.startswith(key_id)]
        if len(found) != 1 or found[0].origin is None:
            raise UsageError(
                f"{len(found) or 'No'} master keys begin with {key_id!r}. "
                "`sisgate keys masters` shows them."
                if len(found) != 1
                else f"Master key {found[0].id} is not here, so there is nothing to forget."
            )
        (key,) = found
        if key.is_newest:
            raise InvalidState(f"Master key {key.id} is the newest one: it seals. It stays.")
        if key.sealed:
            places = ", ".join(f"{count} in {place}" for place, count in key.sealed.items())
            raise InvalidState(
                f"Master key {key.id} is still in use ({places}), so it stays. Run "
                "`sisgate keys rewrap` first."
            )
        assert key.origin is not None
        self._refuse_what_proves_the_log(key.id)
        if key.origin in {"environment", "command"}:
            raise UsageError(
                f"Master key {key.id} is not in use any more. It comes from the {key.origin}: take "
                "it away there."
            )
        try:
            drop_master_key(Path(key.origin), bytes.fromhex(key.id))
        except OSError as error:
            raise UsageError(
                f"{key.origin} cannot be written ({error.strerror}). Master key {key.id} is not in "
                "use any more: take its line away where the file is made."
            ) from error
        self._note("keys:master:forget", key.id, actor, reason)
        return key.id

    def give_up(self, *, actor: str, reason: str | None = None) -> tuple[str, ...]:
        """Name every missing key as lost and return their ids.

        `sisgate up` then starts without them. What they sealed stays, and never opens.
        """
        self._access.require(Action.ADMINISTER)
        missing = missing_keys(self._settings, self._database)
        for key_id in missing.ids:
            self._note(GIVEN_UP, key_id, actor, reason)
        return tuple(missing.ids)

    def _refuse_what_proves_the_log(self, key_id: str) -> None:
        """Raise `InvalidState` where the audit key that follows from a master key is needed."""
        (master,) = (m for m in vault_of(self._settings).masters if m.id.hex() == key_id)
        own, file = AuditKey.of_master(master.material), self._settings.audit_key_file
        if file is not None and read_audit_keys(file).of(own.id) is not None:
            return
        with self._database.read() as session:
            if is_made_with(session, own.id):
                raise InvalidState(
                    f"Events of the audit log are proven by master key {key_id}, so it stays. Run "
                    "`sisgate audit new-key FILE` and set audit_key_file to it first: that file "
                    "keeps what verifies them."
                )

    def _note(self, action: str, subject: str, actor: str, reason: str | None) -> None:
        principal = self._access.principal()
        with self._database.write() as session:
            audit.record(
                session,
                self._clock.now(),
                actor=principal.token_actor or actor,
                action=action,
                subject=subject,
                reason=reason,
            )
