"""The master keys: what each has sealed, moving everything to the newest, removing an old one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sisgate.access.policy import Action
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
    """One master key: its id in hex, its origin, and the number of secrets sealed by place.

    `origin` is None if this process lacks the key.
    """

    id: str
    origin: str | None
    is_newest: bool
    sealed: Mapping[str, int] = field(default_factory=dict)


class MasterKeys:
    """Managing the master keys, for admins. This process needs them, as workers do.

    Methods raise `CredentialError` and `AccessDenied`.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    def list(self) -> list[MasterKeyUse]:
        """Return the keys, newest first, then the missing ones."""
        self._core.access.require(Action.ADMINISTER)
        vault = vault_of(self._core.settings)
        uses = sealed.uses(self._core.database)
        present = [
            MasterKeyUse(key.id.hex(), key.origin, key is vault.newest, uses.pop(key.id.hex(), {}))
            for key in vault.masters
        ]
        return present + [MasterKeyUse(key_id, None, False, by) for key_id, by in uses.items()]

    def make(self, path: Path | None = None) -> bool:
        """Create a key file unless it exists; return whether it was created.

        Without `path`, creates the configured file, unless keys come from elsewhere. Raises
        `OSError`. `check_ledger` reports whether the ledger needs another key.
        """
        self._core.require_unless_local(Action.ADMINISTER)
        if path is None and at_hand(self._core.settings):
            return False
        return make_master_key(path or self._core.settings.master_key_path)

    def renew(self, path: Path) -> str:
        """Add a new first key to a file and return its id. Raises `OSError`."""
        self._core.require_unless_local(Action.ADMINISTER)
        return renew_master_key(path).id.hex()

    def check_ledger(self) -> None:
        """Raise `CredentialError` if the ledger uses a key that is missing here.

        Raises `UsageError` if its tables do not match the code, and `DatabaseUnavailable`.
        """
        self._core.require_unless_local(Action.ADMINISTER)
        settings = self._core.settings
        if settings.is_embedded_database and not (settings.data_dir / "sisgate.db").exists():
            return
        schema = Ledger(self._core).version()
        if schema.version is None:
            return
        if not schema.is_newest:
            raise UsageError("The ledger has another version: run `sisgate db upgrade` first.")
        if error := missing_keys(settings, self._core.database).error:
            raise error

    def rewrap(self, *, actor: str, reason: str | None = None) -> Iterator[Progress]:
        """Re-seal everything with the newest master key, and yield after each batch.

        Can be interrupted and started again; safe while the fleet runs.
        """
        self._core.access.require(Action.ADMINISTER)
        vault = vault_of(self._core.settings)
        # Audited first, because an interrupted run has moved secrets too.
        self._core.audit(actor, "keys:master:rewrap", vault.newest.id.hex(), reason=reason)
        yield from sealed.rewrap(self._core.database, vault, StoredTokens(self._core.redis))

    def forget(self, key_id: str, *, actor: str, reason: str | None = None) -> str:
        """Remove a master key from its file and return its id; `key_id` may be abbreviated.

        Raises `UsageError` if there is no such key or it is not in a file, and `InvalidState` if it
        is the newest, still seals secrets, or the audit log needs it.
        """
        matches = [key for key in self.list() if key_id and key.id.startswith(key_id)]
        if len(matches) != 1:
            raise UsageError(
                f"{len(matches) or 'No'} master keys begin with {key_id!r}. "
                "`sisgate keys masters` lists them."
            )
        (key,) = matches
        if key.origin is None:
            raise UsageError(f"Master key {key.id} is missing here: there is nothing to forget.")
        if key.is_newest:
            raise InvalidState(f"Master key {key.id} is the newest, so it stays.")
        if key.sealed:
            places = ", ".join(f"{count} in {place}" for place, count in key.sealed.items())
            raise InvalidState(
                f"Master key {key.id} is still in use ({places}), so it stays. Run "
                "`sisgate keys rewrap` first."
            )
        self._check_audit_log(key.id)
        if key.origin in {"environment", "command"}:
            raise UsageError(
                f"Master key {key.id} is no longer in use. It comes from the {key.origin}: "
                "remove it there."
            )
        try:
            drop_master_key(Path(key.origin), bytes.fromhex(key.id))
        except OSError as error:
            raise UsageError(
                f"{key.origin} cannot be written ({error.strerror}). Master key {key.id} is no "
                "longer in use: remove its line from the source of the file."
            ) from error
        self._core.audit(actor, "keys:master:forget", key.id, reason=reason)
        return key.id

    def give_up(self, *, actor: str, reason: str | None = None) -> tuple[str, ...]:
        """Declare every missing key lost and return their ids.

        `sisgate up` then starts without them. What they sealed can never be opened.
        """
        self._core.access.require(Action.ADMINISTER)
        missing = missing_keys(self._core.settings, self._core.database)
        for key_id in missing.ids:
            self._core.audit(actor, GIVEN_UP, key_id, reason=reason)
        return tuple(missing.ids)

    def _check_audit_log(self, key_id: str) -> None:
        """Raise `InvalidState` if the audit log needs the audit key derived from a master key."""
        settings = self._core.settings
        (master,) = (m for m in vault_of(settings).masters if m.id.hex() == key_id)
        own, file = AuditKey.of_master(master.material), settings.audit_key_file
        if file is not None and read_audit_keys(file).of(own.id) is not None:
            return
        with self._core.database.read() as session:
            if is_made_with(session, own.id):
                raise InvalidState(
                    f"Events of the audit log are authenticated with master key {key_id}, so it "
                    "stays. Run `sisgate audit new-key FILE` and set audit_key_file to it first: "
                    "that file keeps the key that verifies them."
                )
