"""The list that keeps erased persons out of later syncs: keyed digests, and no names."""

import hmac
import secrets
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from sisgate.credentials.vault import Vault
from sisgate.domain.records import Row
from sisgate.ledger import access
from sisgate.privacy.persons import Realms
from sisgate.providers.dialect import Page

KEY_NAME = "persons"
KEY_BYTES = 32


@dataclass(frozen=True)
class PersonKey:
    """Makes the digests that stand for persons. Only whoever has the key can test a guess."""

    material: bytes

    def digest(self, provider: str, realm: str, sourced_id: str) -> bytes:
        """Return the HMAC-SHA256 that stands for a person."""
        place = f"{provider}\0{realm}\0{sourced_id}"
        return hmac.digest(self.material, place.encode(), "sha256")

    def pseudonym(self, provider: str, realm: str, sourced_id: str) -> str:
        """Return the pseudonym of an id, always the same one."""
        return f"erased-{self.digest(provider, realm, sourced_id)[:10].hex()}"

    def mark(self, provider: str, identifier: str) -> bytes:
        """Return what stands for an identifier of any kind in the audit log."""
        return self.digest(provider, "mark", identifier)

    def __repr__(self) -> str:
        return "PersonKey(…)"


def context_of(name: str) -> str:
    """Return the place that the sealed key is bound to."""
    return f"privacy_keys/{name}"


def person_key(session: Session, vault: Vault) -> PersonKey:
    """Return the key, created if need be. It must never change, or the list would be void."""
    if access.privacy_key(session, KEY_NAME) is None:
        sealed = vault.seal(secrets.token_bytes(KEY_BYTES), context_of(KEY_NAME))
        access.keep_privacy_key(session, KEY_NAME, sealed)
    key = existing_key(session, vault)
    assert key is not None
    return key


def existing_key(session: Session, vault: Vault) -> PersonKey | None:
    """Return the key; None before it was first needed."""
    kept = access.privacy_key(session, KEY_NAME)
    return None if kept is None else PersonKey(vault.open(kept, context_of(KEY_NAME)))


def screened(
    page: Page,
    *,
    provider: str,
    resource: str,
    realms: Realms,
    digests: frozenset[bytes],
    key: PersonKey,
) -> Page:
    """Return a page without the records of suppressed persons and without references to them.

    The ids of rows that were left out are replaced by pseudonyms, which serve as well to tell
    whether two pages meet. The number of rows received stays the same.
    """
    known: dict[tuple[str, str], bool] = {}

    def is_person(realm: str, sourced_id: str) -> bool:
        place = (realm, sourced_id)
        if place not in known:
            known[place] = key.digest(provider, realm, sourced_id) in digests
        return known[place]

    def is_suppressed(row: Row) -> bool:
        owner = realms.owner(resource, row.data)
        return owner is not None and is_person(*owner)

    left_out = {row.sourced_id for row in page.rows if is_suppressed(row)}
    kept = [
        realms.without(resource, row, is_person)
        for row in page.rows
        if row.sourced_id not in left_out
    ]
    ids = [
        key.pseudonym(provider, resource, each) if each in left_out else each for each in page.ids
    ]
    return replace(page, rows=kept, ids=ids)
