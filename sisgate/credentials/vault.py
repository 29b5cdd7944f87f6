"""Sealing secrets: AES-256-GCM under a master key, bound to the place where they are kept."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sisgate.errors import CredentialError

_FORMAT = b"\x01"
_NONCE_BYTES = 12
_ID_BYTES = 8
KEY_BYTES = 32


@dataclass(frozen=True)
class MasterKey:
    """One 256-bit key. Its id is a digest, so that a sealed text can name the key it needs."""

    material: bytes

    @property
    def id(self) -> bytes:
        """The first bytes of the key's SHA-256."""
        return hashlib.sha256(b"sisgate master key" + self.material).digest()[:_ID_BYTES]

    def __repr__(self) -> str:
        return f"MasterKey({self.id.hex()})"


class Vault:
    """Seals and opens bytes. The first master key seals; all of them open.

    `context` names the place of the sealed text (table and row). It is authenticated but not
    stored, so that a text moved to another row does not open there.
    """

    def __init__(self, keys: list[MasterKey]) -> None:
        if not keys:
            raise CredentialError(
                "There is no master key. `sisgate up` makes one on its first start."
            )
        self._newest = keys[0]
        self._ciphers = {key.id: AESGCM(key.material) for key in keys}

    def seal(self, plain: bytes, context: str) -> bytes:
        """Return `plain` encrypted: format, key id, nonce, ciphertext with tag."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        header = _FORMAT + self._newest.id
        cipher = self._ciphers[self._newest.id]
        return header + nonce + cipher.encrypt(nonce, plain, header + context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """Return the plain bytes; `CredentialError` if a key is missing or the text was changed."""
        header, rest = sealed[: 1 + _ID_BYTES], sealed[1 + _ID_BYTES :]
        cipher = self._ciphers.get(header[1:])
        if header[:1] != _FORMAT or cipher is None:
            raise CredentialError(
                f"A stored secret was sealed with master key {header[1:].hex()}, which is not in "
                "the master key file. Put that key back into the file (SISGATE_MASTER_KEY_FILE), "
                "or add the provider's keys anew with `sisgate keys add`."
            )
        try:
            return cipher.decrypt(
                rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], header + context.encode()
            )
        except InvalidTag:
            raise CredentialError(
                f"The secret stored for {context} was changed or moved in the database and does "
                "not open. Add the provider's keys anew with `sisgate keys add`."
            ) from None


def open_vault(path: Path) -> Vault:
    """Return the vault of a master key file: one base64 key a line, the newest first."""
    try:
        lines = path.read_text(encoding="ascii").split()
    except FileNotFoundError:
        raise CredentialError(
            f"There is no master key at {path}. `sisgate up` makes one on its first start; on a "
            "fleet, `sisgate keys master` makes one to be shared as a secret file."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialError(f"The master key at {path} cannot be read: {error}.") from error
    try:
        keys = [base64.b64decode(line, validate=True) for line in lines]
    except binascii.Error:
        keys = [b""]
    if not keys or any(len(key) != KEY_BYTES for key in keys):
        raise CredentialError(f"The file {path} does not hold base64 of {KEY_BYTES} bytes a line.")
    return Vault([MasterKey(key) for key in keys])


def make_master_key(path: Path) -> bool:
    """Write a new master key with mode 600 unless the file exists; return whether it was made."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
    return True
