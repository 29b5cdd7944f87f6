"""What is sealed opens in its place with its master key, and nowhere else."""

import base64
import pickle
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from sisgate.credentials.master import (
    MasterKey,
    drop_master_key,
    make_master_key,
    master_keys,
    renew_master_key,
)
from sisgate.credentials.vault import Vault
from sisgate.errors import CredentialError
from sisgate.settings import Settings

OLD, NEW = MasterKey(b"o" * 32), MasterKey(b"n" * 32)


def in_first_format(key: MasterKey, plain: bytes, context: str) -> bytes:
    """Seal as version 0.1.0 did."""
    header, nonce = b"\x01" + key.id, b"123456789012"
    sealed = AESGCM(key.material).encrypt(nonce, plain, header + context.encode())
    return header + nonce + sealed


@given(st.binary(max_size=300), st.text(max_size=40))
def test_it_opens_in_its_place(plain: bytes, context: str) -> None:
    """Whatever is sealed, for whatever place."""
    assert Vault([NEW]).open(Vault([NEW, OLD]).seal(plain, context), context) == plain


@given(st.binary(max_size=60), st.data())
def test_any_change_is_found(plain: bytes, data: st.DataObject) -> None:
    """One byte of it, its end, or its place."""
    vault = Vault([NEW, OLD])
    sealed = vault.seal(plain, "keys/1")
    place = data.draw(st.integers(0, len(sealed) - 1))
    flipped = bytearray(sealed)
    flipped[place] ^= data.draw(st.integers(1, 255))
    for text, context in (
        (bytes(flipped), "keys/1"),
        (sealed[:place], "keys/1"),
        (sealed, "keys/2"),
    ):
        with pytest.raises(CredentialError):
            vault.open(text, context)


def test_two_sealings_share_nothing() -> None:
    """A fresh data key and fresh nonces."""
    vault = Vault([NEW])
    one, two = vault.seal(b"x" * 40, "a"), vault.seal(b"x" * 40, "a")
    assert one[:9] == two[:9]
    assert not {one[i : i + 8] for i in range(9, 100)} & {two[i : i + 8] for i in range(9, 100)}


def test_rewrapping_changes_the_wrapping_only() -> None:
    """The text stays as it was, under a key of the newest master key."""
    sealed = Vault([OLD]).seal(b"plain", "a")
    moved = Vault([NEW, OLD]).rewrap(sealed, "a")
    assert moved[1:9] == NEW.id
    assert moved[-21:] == sealed[-21:]
    assert Vault([NEW]).open(moved, "a") == b"plain"
    with pytest.raises(CredentialError):
        Vault([OLD]).open(moved, "a")
    with pytest.raises(CredentialError, match="changed or moved"):
        Vault([NEW, OLD]).rewrap(sealed, "b")


def test_what_the_first_format_sealed_opens_and_moves() -> None:
    """Under the name that its place had then."""
    sealed = in_first_format(OLD, b"plain", "keys/1")
    vault = Vault([NEW, OLD])
    assert vault.open(sealed, "keys/1/lincoln/41", first_context="keys/1") == b"plain"
    with pytest.raises(CredentialError):
        vault.open(sealed, "keys/1/lincoln/41", first_context="keys/2")
    moved = vault.rewrap(sealed, "keys/1/lincoln/41", first_context="keys/1")
    assert Vault([NEW]).open(moved, "keys/1/lincoln/41") == b"plain"


def test_a_missing_master_key_is_named() -> None:
    """By its id, which tells nothing about it."""
    with pytest.raises(CredentialError, match=OLD.id.hex()):
        Vault([NEW]).open(Vault([OLD]).seal(b"x", "a"), "a")
    with pytest.raises(TypeError):
        pickle.dumps(OLD)
    assert "oooo" not in repr(OLD)


def settings(folder: Path, **words: object) -> Settings:
    """Settings of a data folder."""
    return Settings.model_validate({"data_dir": folder, **words})


def encoded(key: MasterKey) -> str:
    """A line of a file."""
    return base64.b64encode(key.material).decode()


def test_master_keys_come_from_environment_command_and_file(tmp_path: Path) -> None:
    """In this order, each once."""
    make_master_key(tmp_path / "master.key")
    (in_file,) = master_keys(settings(tmp_path))
    said = (sys.executable, "-c", f"print({encoded(OLD)!r})")
    found = master_keys(
        settings(tmp_path, master_key=SecretStr(encoded(NEW)), master_key_command=said)
    )
    assert [key.id for key in found] == [NEW.id, OLD.id, in_file.id]
    assert [key.origin for key in found] == ["environment", "command", in_file.origin]
    both = f"{encoded(OLD)} {encoded(in_file)}"
    assert len(master_keys(settings(tmp_path, master_key=SecretStr(both)))) == 2


def test_a_file_may_be_missing_where_another_source_has_a_key(tmp_path: Path) -> None:
    """Unless it is named."""
    with pytest.raises(CredentialError, match="no master key at"):
        master_keys(settings(tmp_path))
    assert master_keys(settings(tmp_path, master_key=SecretStr(encoded(NEW))))
    named = {"master_key": SecretStr(encoded(NEW)), "master_key_file": tmp_path / "absent"}
    with pytest.raises(CredentialError, match="no master key at"):
        master_keys(settings(tmp_path, **named))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise SystemExit(3)", "ended with 3"),
        ("print('swordfish')", "does not hold base64"),
        ("print('')", "does not hold base64"),
    ],
)
def test_a_command_that_fails_is_told_without_its_output(
    tmp_path: Path, code: str, said: str
) -> None:
    """Nobody knows what that holds."""
    with pytest.raises(CredentialError, match=said) as failed:
        master_keys(settings(tmp_path, master_key_command=(sys.executable, "-c", code)))
    assert "swordfish" not in str(failed.value)
    with pytest.raises(CredentialError, match="could not be run"):
        master_keys(settings(tmp_path, master_key_command=("/no/such/program",)))


def test_a_file_is_renewed_and_an_old_key_dropped(tmp_path: Path) -> None:
    """In one step each, with mode 600."""
    path = tmp_path / "master.key"
    make_master_key(path)
    (old,) = master_keys(settings(tmp_path))
    new = renew_master_key(path)
    assert [key.id for key in master_keys(settings(tmp_path))] == [new.id, old.id]
    drop_master_key(path, old.id)
    assert [key.id for key in master_keys(settings(tmp_path))] == [new.id]
    assert path.stat().st_mode & 0o777 == 0o600
