"""The audit keys, which authenticate events and seals and sign heads."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sisgate.errors import MasterKeyMissing, UsageError
from sisgate.settings.files import KEY_BYTES, decode_keys, read_text, write_keys

ID_BYTES = 4
MAC_BYTES = 16
"""Half of an HMAC-SHA256: 128 bits, as RFC 2104 section 5 allows, keep events small."""


@dataclass(frozen=True)
class AuditKey:
    """One 256-bit key, from which one key for each use is derived with HMAC-SHA256.

    Its id precedes every MAC made with it, so that a log outlives a change of keys.
    """

    material: bytes

    @classmethod
    def of_master(cls, material: bytes) -> AuditKey:
        """Return the audit key that belongs to a master key."""
        return cls(_derive(material, b"sisgate audit key"))

    @cached_property
    def id(self) -> bytes:
        """Four bytes that reveal nothing about the key."""
        return _derive(self.material, b"id")[:ID_BYTES]

    @cached_property
    def _of_events(self) -> bytes:
        return _derive(self.material, b"events")

    @cached_property
    def _of_seals(self) -> bytes:
        return _derive(self.material, b"seals")

    @cached_property
    def _signer(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(_derive(self.material, b"heads"))

    def event_mac(self, content: bytes) -> bytes:
        """Return key id and MAC of an event, 20 bytes."""
        return self.id + hmac.digest(self._of_events, content, "sha256")[:MAC_BYTES]

    def seal_mac(self, content: bytes) -> bytes:
        """Return key id and MAC of a seal, 36 bytes: the head of the chain."""
        return self.id + hmac.digest(self._of_seals, content, "sha256")

    def sign(self, content: bytes) -> str:
        """Return an Ed25519 signature (RFC 8032) as base64."""
        return base64.b64encode(self._signer.sign(content)).decode()

    def has_signed(self, content: bytes, signature: str) -> bool:
        """Return whether `signature` is this key's of `content`."""
        return self.public.has_signed(content, signature)

    @cached_property
    def public(self) -> PublicKey:
        """The public part, with which anybody can verify heads and exports."""
        return PublicKey(self.id, self._signer.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"AuditKey({self.id.hex()})"


@dataclass(frozen=True)
class PublicKey:
    """What an auditor has of an audit key: it verifies signatures and computes no MAC.

    Written as `ID:BASE64`, as `sisgate audit public-key` prints it.
    """

    id: bytes
    raw: bytes

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """Return the key that a text is; `ValueError` if it is none."""
        key_id, colon, raw = text.strip().partition(":")
        key = cls(bytes.fromhex(key_id), base64.b64decode(raw, validate=True))
        if not colon or len(key.id) != ID_BYTES or len(key.raw) != KEY_BYTES:
            raise ValueError(text)
        return key

    def __str__(self) -> str:
        return f"{self.id.hex()}:{base64.b64encode(self.raw).decode()}"

    def has_signed(self, content: bytes, signature: str) -> bool:
        """Return whether `signature`, in base64, is this key's of `content`."""
        try:
            raw = base64.b64decode(signature, validate=True)
            Ed25519PublicKey.from_public_bytes(self.raw).verify(raw, content)
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True

    def event_mac(self, content: bytes) -> None:
        """Return None: a MAC needs the whole key."""
        return

    seal_mac = event_mac


class Verifiers:
    """Keys to verify with, by their ids. The first is the newest."""

    def __init__(self, keys: Sequence[AuditKey | PublicKey]) -> None:
        self._by_id = {key.id: key for key in keys}
        self.first = keys[0]

    def of(self, mac: bytes) -> AuditKey | PublicKey | None:
        """Return the key of an event's MAC or of a head, or None if it is not here."""
        return self._by_id.get(mac[:ID_BYTES])

    @classmethod
    def public(cls, texts: Iterable[str]) -> Verifiers:
        """Return the public keys that texts are, or that stand in the files they name.

        Raises `UsageError` for a text that is neither.
        """
        keys = []
        for text in texts:
            path = Path(text)
            lines = path.read_text("utf-8-sig").split() if path.is_file() else [text]
            for line in lines:
                try:
                    keys.append(PublicKey.parse(line))
                except (ValueError, UnicodeDecodeError):
                    raise UsageError(
                        f"{text!r} is no public key of an audit log, nor a file of some. "
                        "`sisgate audit public-key` prints them, as ID:BASE64."
                    ) from None
        return cls(keys)


class KeyRing(Verifiers):
    """The audit keys of a process. The first authenticates and signs; all of them verify."""

    def __init__(self, keys: Sequence[AuditKey]) -> None:
        if not keys:
            raise MasterKeyMissing(
                "There is no audit key, and without one nothing is accepted and no call is made. "
                "Give this process the master key file, or an audit key file (audit_key_file)."
            )
        super().__init__(keys)
        self.newest = keys[0]
        self.keys = tuple(keys)


def read_audit_keys(path: Path) -> KeyRing:
    """Return the keys of a file: one base64 key a line, newest first. `MasterKeyMissing`."""
    try:
        keys = decode_keys(read_text(path))
    except FileNotFoundError:
        raise MasterKeyMissing(
            f"There is no audit key file at {path}. `sisgate audit new-key` makes one; every "
            "process of the fleet needs the same."
        ) from None
    except (OSError, ValueError) as error:
        raise MasterKeyMissing(f"The audit key file {path} cannot be read: {error}.") from error
    if not keys:
        raise MasterKeyMissing(f"The file {path} does not hold base64 of {KEY_BYTES} bytes a line.")
    return KeyRing([AuditKey(key) for key in keys])


def write_new_key(path: Path, known: Iterable[AuditKey]) -> AuditKey:
    """Write a key file with a new key above the `known` ones, and return the new one."""
    new = AuditKey(secrets.token_bytes(KEY_BYTES))
    write_keys(path, [key.material for key in (new, *known)], overwrite=True)
    return new


def _derive(material: bytes, purpose: bytes) -> bytes:
    return hmac.digest(material, b"sisgate audit " + purpose, "sha256")
