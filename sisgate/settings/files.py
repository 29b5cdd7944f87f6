"""Files named in the configuration: texts as editors save them, key files, PEM files."""

import base64
import binascii
import codecs
import os
import ssl
from collections.abc import Iterable
from pathlib import Path

from sisgate.domain.network import Network

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""UTF-32 before UTF-16, because its mark begins with that of UTF-16."""

FileState = tuple[int, int]
"""When a file was changed, in nanoseconds, and its size: another state is another text."""


def state_of(file: Path) -> FileState | None:
    """Return the state of a file, None if there is no way to tell."""
    try:
        known = file.stat()
    except OSError:
        return None
    return known.st_mtime_ns, known.st_size


def sample_file() -> Path:
    """Return the commented sample configuration: in the wheel, or at the root of a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "sisgate.example.toml"
    return installed if installed.exists() else package.parent / installed.name


def read_text(path: Path) -> str:
    """Return the text of a file, without a byte order mark and with LF line endings.

    UTF-8, unless a byte order mark says otherwise. Raises `OSError`, and for any other encoding
    `ValueError`, whose message holds nothing of the content.
    """
    return decode_text(path.read_bytes())


def decode_text(content: bytes) -> str:
    r"""Return bytes as text, as `read_text` does.

    >>> decode_text(b"\xef\xbb\xbfone\r\ntwo"), decode_text("one".encode("utf-16"))
    ('one\ntwo', 'one')
    >>> decode_text("one".encode("utf-16-le"))
    Traceback (most recent call last):
    ...
    ValueError: it has NUL bytes (UTF-16 without a byte order mark?): save it as UTF-8
    >>> decode_text("one\nZoë".encode("latin-1"))
    Traceback (most recent call last):
    ...
    ValueError: line 2 is not UTF-8: save it as UTF-8
    """
    mark, encoding = next((each for each in _MARKS if content.startswith(each[0])), (b"", "utf-8"))
    body = content.removeprefix(mark) if encoding == "utf-8" else content
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError as error:
        line = body[: error.start].count(b"\n") + 1
        where = f"line {line} is" if encoding == "utf-8" else "it is"
        # The decoder's error holds the content.
        raise ValueError(f"{where} not {encoding.upper()}: save it as UTF-8") from None
    if "\0" in text:
        raise ValueError("it has NUL bytes (UTF-16 without a byte order mark?): save it as UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


KEY_BYTES = 32


def decode_keys(text: str) -> list[bytes]:
    """Return the keys of a key file, 256 bits in base64 per line; empty if it is not one."""
    try:
        keys = [base64.b64decode(line, validate=True) for line in text.split()]
    except (binascii.Error, ValueError):
        return []
    return keys if all(len(key) == KEY_BYTES for key in keys) else []


def write_keys(path: Path, keys: Iterable[bytes], *, overwrite: bool) -> None:
    """Write a key file that only this user can read. Raises `OSError`.

    Overwriting is atomic: a crash leaves the old keys or the new ones. Without `overwrite`, an
    existing file raises `FileExistsError`.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    target = path.with_name(f".{path.name}.new") if overwrite else path
    if overwrite:
        target.unlink(missing_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.writelines(base64.b64encode(key) + b"\n" for key in keys)
        file.flush()
        os.fsync(file.fileno())
    if overwrite:
        target.replace(path)


def authorities_problem(path: Path) -> str | None:
    """Return what is wrong with a file of trusted authorities (PEM), or None."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=str(path))
    except ssl.SSLError:
        return f"{path} holds no certificates in PEM form"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    return None


def certificate_problem(
    certificate: Path, key: Path | None, password: str | None = None
) -> str | None:
    """Return what is wrong with a client certificate and its key (PEM), or None.

    Without `key` the key is in the certificate's file. An encrypted key needs its password:
    otherwise OpenSSL would prompt for it on the terminal.
    """
    for path in (certificate, key):
        if path is not None and (what := _unreadable(path)):
            return what
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    prompts: list[bool] = []

    def no_password() -> str:
        prompts.append(True)
        return ""

    try:
        context.load_cert_chain(certificate, key, password=password or no_password)
    except (ssl.SSLError, ValueError):
        if prompts:
            return f"the key in {key or certificate} is encrypted: give it without a password"
        return f"{certificate} and {key or 'the key in it'} are not a certificate and its key (PEM)"
    except OSError as error:
        return f"{certificate} cannot be read: {error.strerror}"
    return None


def network_problem(network: Network) -> str | None:
    """Return what is wrong with the TLS files of a provider, or None."""
    bundle = network.ca_file
    # A folder as made by OpenSSL's c_rehash; requests accepts one as well.
    if bundle is not None and not bundle.is_dir() and (what := authorities_problem(bundle)):
        return f"ca_file: {what}"
    if network.client_cert is not None:
        what = certificate_problem(network.client_cert, network.client_key)
        return f"client_cert: {what}" if what else None
    return None


def _unreadable(path: Path) -> str | None:
    try:
        with path.open("rb"):
            return None
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
