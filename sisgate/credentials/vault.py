"""Sealing of secrets: each with a fresh data key, wrapped by a master key, bound to its place."""

import hmac
import secrets
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sisgate.credentials.master import ID_BYTES, MasterKey, master_keys
from sisgate.errors import MasterKeyMissing, SecretChanged
from sisgate.settings import Settings
from sisgate.settings.files import KEY_BYTES

_FIRST = b"\x01"
_ENVELOPE = b"\x02"
_NONCE = 12
_TAG = 16
_HEADER = 1 + ID_BYTES
_WRAPPED = _NONCE + KEY_BYTES + _TAG


class Vault:
    """Seals and opens bytes with AES-256-GCM. The first master key seals; all of them open.

    Sealed: format (1 byte, 2), id of the master key (8), the wrapped data key (nonce 12, key 32,
    tag 16), the text (nonce 12, ciphertext, tag 16). `context` names the place of the sealed text
    (table and row). It is authenticated with both but not stored, so that a text that was moved
    to another row does not open there. In format 1, which still opens, the master key sealed the
    text itself: format, id, nonce, ciphertext with tag.
    """

    def __init__(self, keys: Sequence[MasterKey]) -> None:
        if not keys:
            raise MasterKeyMissing(
                "There is no master key. `sisgate up` creates one on its first start."
            )
        self._newest = keys[0]
        self._keys = {key.id: key for key in keys}

    @property
    def newest(self) -> MasterKey:
        """The key that seals."""
        return self._newest

    @property
    def masters(self) -> tuple[MasterKey, ...]:
        """All keys, the newest first."""
        return tuple(self._keys.values())

    @property
    def newest_header(self) -> bytes:
        """The beginning of everything that is sealed the way it would be sealed now."""
        return _ENVELOPE + self._newest.id

    def seal(self, plain: bytes, context: str) -> bytes:
        """Return `plain` encrypted for this place."""
        data_key = secrets.token_bytes(KEY_BYTES)
        nonce = secrets.token_bytes(_NONCE)
        text = AESGCM(data_key).encrypt(nonce, plain, _ENVELOPE + context.encode())
        return self._wrap(data_key, context) + nonce + text

    def open(self, sealed: bytes, context: str, *, first_context: str | None = None) -> bytes:
        """Return the plain bytes; `CredentialError` if a key is missing or the text was changed.

        `first_context` is the name that the place had in format 1, if it was a different one.
        """
        master = self._master_of(sealed)
        try:
            if sealed[:1] == _FIRST:
                place = sealed[:_HEADER] + (first_context or context).encode()
                return master.cipher.decrypt(
                    sealed[_HEADER : _HEADER + _NONCE], sealed[_HEADER + _NONCE :], place
                )
            data_key = self._unwrap(master, sealed, context)
            text = sealed[_HEADER + _WRAPPED :]
            return AESGCM(data_key).decrypt(
                text[:_NONCE], text[_NONCE:], _ENVELOPE + context.encode()
            )
        except (InvalidTag, ValueError):
            raise _changed(context) from None

    def marks(self, plain: bytes, purpose: str) -> list[str]:
        """Return keyed digests (HMAC-SHA256, hex) of a text with each master key, newest first.

        Equal texts have equal marks, and without a master key nobody can test a guess.
        """
        return [
            hmac.digest(
                hmac.digest(key.material, b"marks of " + purpose.encode(), "sha256"),
                plain,
                "sha256",
            ).hex()
            for key in self._keys.values()
        ]

    def rewrap(self, sealed: bytes, context: str, *, first_context: str | None = None) -> bytes:
        """Return the same text under the newest master key, without decrypting it.

        A text in format 1 is sealed anew. Raises `CredentialError` as `open` does.
        """
        master = self._master_of(sealed)
        if sealed[:1] == _FIRST:
            return self.seal(self.open(sealed, context, first_context=first_context), context)
        try:
            data_key = self._unwrap(master, sealed, context)
        except (InvalidTag, ValueError):
            raise _changed(context) from None
        return self._wrap(data_key, context) + sealed[_HEADER + _WRAPPED :]

    def _wrap(self, data_key: bytes, context: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        header = self.newest_header
        return header + nonce + self._newest.cipher.encrypt(nonce, data_key, _bound(context))

    def _unwrap(self, master: MasterKey, sealed: bytes, context: str) -> bytes:
        wrapped = sealed[_HEADER : _HEADER + _WRAPPED]
        return master.cipher.decrypt(wrapped[:_NONCE], wrapped[_NONCE:], _bound(context))

    def _master_of(self, sealed: bytes) -> MasterKey:
        master = self._keys.get(sealed[1:_HEADER])
        if sealed[:1] not in {_FIRST, _ENVELOPE} or master is None:
            raise MasterKeyMissing(
                f"A stored secret was sealed with master key {sealed[1:_HEADER].hex()}, which this "
                "process does not have. Put that key back into the master key file "
                "(SISGATE_MASTER_KEY_FILE), or add the provider's keys anew with "
                "`sisgate keys add`.",
                master_key=sealed[1:_HEADER].hex(),
            )
        return master


def vault_of(settings: Settings) -> Vault:
    """Return the vault of the configured master keys; `CredentialError` as `master_keys`."""
    return Vault(master_keys(settings))


def master_id_of(sealed: bytes) -> str:
    """Return, in hex, the id of the master key that sealed a text."""
    return sealed[1:_HEADER].hex()


def _bound(context: str) -> bytes:
    # Not the same prefix as for the text: a wrapped key never passes for a text, nor the reverse.
    return b"data key of " + context.encode()


def _changed(context: str) -> SecretChanged:
    return SecretChanged(
        f"The secret stored for {context} was changed or moved in the database and does not open. "
        "Add the provider's keys again with `sisgate keys add`."
    )
