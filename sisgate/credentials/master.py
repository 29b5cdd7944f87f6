"""Master keys: from the environment, a command (a hook for a KMS or Vault) and a file."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NoReturn

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sisgate.errors import CredentialError
from sisgate.settings import Settings
from sisgate.settings.files import read_text

KEY_BYTES = 32
ID_BYTES = 8
COMMAND_SECONDS = 30.0
"""How long a command may take to give the keys."""


@dataclass(frozen=True, repr=False)
class MasterKey:
    """One 256-bit key. Its id is a digest, so that a sealed text can name the key it needs.

    `origin` says where it was read: `environment`, `command`, or the path of the file.
    """

    material: bytes
    origin: str = ""

    @cached_property
    def id(self) -> bytes:
        """The first bytes of the key's SHA-256."""
        return hashlib.sha256(b"sisgate master key" + self.material).digest()[:ID_BYTES]

    @cached_property
    def cipher(self) -> AESGCM:
        """What wraps and unwraps with this key."""
        return AESGCM(self.material)

    def __repr__(self) -> str:
        return f"MasterKey({self.id.hex()})"

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError("a master key cannot be pickled")


def master_keys(settings: Settings) -> list[MasterKey]:
    """Return the keys of all sources, the newest first: environment, command, file.

    Raises `CredentialError` where a source cannot be read, or none has a key. A file that is not
    named in the settings may be missing where another source has a key.
    """
    keys: list[MasterKey] = []
    if settings.master_key is not None:
        text = settings.master_key.get_secret_value()
        keys += _read(text, "environment", "SISGATE_MASTER_KEY")
    if settings.master_key_command:
        keys += _read(_ask(settings.master_key_command), "command", "The master key command")
    path = settings.master_key_path
    if not keys or settings.master_key_file is not None or path.exists():
        keys += _read(_text_of(path), str(path), f"The file {path}")
    unique: dict[bytes, MasterKey] = {}
    for key in keys:
        unique.setdefault(key.id, key)
    return list(unique.values())


def make_master_key(path: Path) -> bool:
    """Write a new master key with mode 600 unless the file exists; return whether it was made."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "wb") as file:
        file.write(_line(secrets.token_bytes(KEY_BYTES)))
    return True


def renew_master_key(path: Path) -> MasterKey:
    """Put a new key above those of a file and return it; what the old ones sealed still opens."""
    old = _text_of(path)
    _read(old, str(path), f"The file {path}")
    key = MasterKey(secrets.token_bytes(KEY_BYTES), str(path))
    _replace(path, _line(key.material) + old.encode("ascii"))
    return key


def drop_master_key(path: Path, key_id: bytes) -> None:
    """Take one key out of a file, in one step; the others stay."""
    kept = [key for key in _read(_text_of(path), str(path), f"The file {path}") if key.id != key_id]
    _replace(path, b"".join(_line(key.material) for key in kept))


def _replace(path: Path, content: bytes) -> None:
    # A new file moved over the old one: a crash leaves one of the two, never half a key.
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _line(material: bytes) -> bytes:
    return base64.b64encode(material) + b"\n"


def _text_of(path: Path) -> str:
    try:
        return read_text(path)
    except FileNotFoundError:
        raise CredentialError(
            f"There is no master key at {path}. `sisgate up` makes one on its first start; on a "
            "fleet, `sisgate keys master` makes one to be shared as a secret file."
        ) from None
    except (OSError, ValueError) as error:
        raise CredentialError(f"The master key at {path} cannot be read: {error}.") from error


def _ask(command: tuple[str, ...]) -> str:
    try:
        ended = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError) as error:
        raise CredentialError(
            f"The command for the master key ({command[0]}) could not be run: "
            f"{type(error).__name__}. Check master_key_command."
        ) from None
    if ended.returncode != 0:
        # Its output is not quoted: nobody knows what it holds.
        raise CredentialError(
            f"The command for the master key ({command[0]}) ended with {ended.returncode}. Run it "
            "by hand to see why."
        )
    return ended.stdout


def _read(text: str, origin: str, what: str) -> list[MasterKey]:
    try:
        found = [base64.b64decode(line, validate=True) for line in text.split()]
    except (binascii.Error, ValueError):
        found = [b""]
    if not found or any(len(key) != KEY_BYTES for key in found):
        raise CredentialError(f"{what} does not hold base64 of {KEY_BYTES} bytes a line.")
    return [MasterKey(key, origin) for key in found]
