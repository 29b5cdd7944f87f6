"""Master keys: from the environment, from a command (a hook for a KMS or Vault) and from a file."""

import hashlib
import secrets
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NoReturn

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sisgate.errors import MasterKeyMissing
from sisgate.settings import Settings
from sisgate.settings.files import KEY_BYTES, decode_keys, read_text, write_keys

ID_BYTES = 8
COMMAND_SECONDS = 30.0
"""How long the command may take to return the keys."""


@dataclass(frozen=True, repr=False)
class MasterKey:
    """One 256-bit key. Its id is a digest, so that a sealed text can name the key it needs.

    `origin` is where it was read: `environment`, `command`, or the path of the file.
    """

    material: bytes
    origin: str = ""

    @cached_property
    def id(self) -> bytes:
        """The first bytes of the key's SHA-256."""
        return hashlib.sha256(b"sisgate master key" + self.material).digest()[:ID_BYTES]

    @cached_property
    def cipher(self) -> AESGCM:
        """The cipher that wraps and unwraps with this key."""
        return AESGCM(self.material)

    def __repr__(self) -> str:
        return f"MasterKey({self.id.hex()})"

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError("a master key cannot be pickled")


def master_keys(settings: Settings) -> list[MasterKey]:
    """Return the keys of all sources, newest first: environment, command, file.

    Raises `MasterKeyMissing` if a source cannot be read, or none has a key. A file that the
    settings do not name may be missing if another source has a key.
    """
    keys: list[MasterKey] = []
    if settings.master_key is not None:
        text = settings.master_key.get_secret_value()
        keys += _decode(text, "environment", "SISGATE_MASTER_KEY")
    if settings.master_key_command:
        output = _run(settings.master_key_command)
        keys += _decode(output, "command", "The master key command")
    path = settings.master_key_path
    if not keys or settings.master_key_file is not None or path.exists():
        keys += _read(path)
    unique: dict[bytes, MasterKey] = {}
    for key in keys:
        unique.setdefault(key.id, key)
    return list(unique.values())


def make_master_key(path: Path) -> bool:
    """Write a new master key unless the file exists; return whether it was written."""
    try:
        write_keys(path, [secrets.token_bytes(KEY_BYTES)], overwrite=False)
    except FileExistsError:
        return False
    return True


def renew_master_key(path: Path) -> MasterKey:
    """Add a new first key to a file and return it; the old keys stay."""
    key = MasterKey(secrets.token_bytes(KEY_BYTES), str(path))
    write_keys(path, [each.material for each in (key, *_read(path))], overwrite=True)
    return key


def drop_master_key(path: Path, key_id: bytes) -> None:
    """Remove one key from a file; the others stay."""
    write_keys(path, [key.material for key in _read(path) if key.id != key_id], overwrite=True)


def _read(path: Path) -> list[MasterKey]:
    try:
        text = read_text(path)
    except FileNotFoundError:
        raise MasterKeyMissing(
            f"There is no master key at {path}. `sisgate up` makes one on its first start; on a "
            "fleet, `sisgate keys master` makes one to be shared as a secret file."
        ) from None
    except (OSError, ValueError) as error:
        raise MasterKeyMissing(f"The master key at {path} cannot be read: {error}.") from error
    return _decode(text, str(path), f"The file {path}")


def _run(command: tuple[str, ...]) -> str:
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
        raise MasterKeyMissing(
            f"The command for the master key ({command[0]}) could not be run: "
            f"{type(error).__name__}. Check master_key_command."
        ) from None
    if ended.returncode != 0:
        # Do not quote its output: it may hold a secret.
        raise MasterKeyMissing(
            f"The command for the master key ({command[0]}) ended with {ended.returncode}. Run it "
            "by hand to see why."
        )
    return ended.stdout


def _decode(text: str, origin: str, what: str) -> list[MasterKey]:
    keys = decode_keys(text)
    if not keys:
        raise MasterKeyMissing(f"{what} does not hold base64 of {KEY_BYTES} bytes a line.")
    return [MasterKey(key, origin) for key in keys]
