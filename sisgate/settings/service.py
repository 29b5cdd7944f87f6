"""Where the HTTP service is, for apps that have neither database nor Redis."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from sisgate.domain.network import is_loopback
from sisgate.domain.secret import HoldsSecret, Secret
from sisgate.errors import ConfigurationError

URL, TOKEN, TOKEN_FILE = "SISGATE_URL", "SISGATE_TOKEN", "SISGATE_TOKEN_FILE"
ALLOW_INSECURE = "SISGATE_ALLOW_INSECURE"


@dataclass(frozen=True)
class ServiceAddress:
    """The base URL of the HTTP service, and the token that says who asks; None without one."""

    url: str
    token: HoldsSecret | None = None


def checked_url(text: str) -> str:
    """Return an address of the service; `ConfigurationError` for none, which does not quote it."""
    _parts_of(text.strip())
    return text.strip()


def service_url() -> str | None:
    """Return the URL of the HTTP service that the environment names; None without."""
    return os.environ.get(URL, "").strip() or None


def service_address(
    url: str | None = None,
    token: str | HoldsSecret | None = None,
    *,
    allow_insecure: bool | None = None,
) -> ServiceAddress:
    """Return the address that is given, else that of the environment.

    That is `SISGATE_URL` with `SISGATE_TOKEN`, or with the content of `SISGATE_TOKEN_FILE`. A token
    goes to another machine by HTTPS only, unless `allow_insecure` says that the network in between
    is trusted (`SISGATE_ALLOW_INSECURE=1`). Raises `ConfigurationError`.
    """
    text = (url or os.environ.get(URL, "")).strip()
    if not text:
        raise ConfigurationError(
            f"Where is the HTTP service of sisgate? Set {URL}, such as https://sisgate.example.org."
        )
    parts = _parts_of(text)
    secret = _token(token)
    if allow_insecure is None:
        allow_insecure = os.environ.get(ALLOW_INSECURE, "") not in {"", "0", "false"}
    is_safe = parts.scheme == "https" or is_loopback(parts.hostname or "")
    if secret is not None and not is_safe and not allow_insecure:
        raise ConfigurationError(
            f"{URL} begins with http://, so the token would cross the network in the clear. Use "
            f"https://, or set {ALLOW_INSECURE}=1 if nobody can listen in between."
        )
    return ServiceAddress(text.rstrip("/"), secret)


def _parts_of(text: str) -> SplitResult:
    parts = None
    with suppress(ValueError):
        read = urlsplit(text)
        has_more = read.query or read.fragment or "@" in read.netloc
        if read.scheme in {"http", "https"} and read.hostname and read.port != 0 and not has_more:
            parts = read
    if parts is None:
        # It is not quoted: what stands before an @ would be a password.
        raise ConfigurationError(
            f"{URL} is the address of the service and nothing more: http or https, a host, and a "
            "path if it is served below one. The token has a variable of its own."
        )
    return parts


def open_token_file() -> Path | None:
    """Return the file of `SISGATE_TOKEN_FILE` if it is the user's and others can read it.

    Secrets that a container has mounted belong to somebody else.
    """
    named = os.environ.get(TOKEN_FILE)
    if named and not os.environ.get(TOKEN) and os.name == "posix":
        with suppress(OSError):
            found = Path(named).stat()
            if found.st_uid == os.getuid() and found.st_mode & 0o044:
                return Path(named)
    return None


def _token(given: str | HoldsSecret | None) -> HoldsSecret | None:
    if given is not None and not isinstance(given, str):
        return given
    text = given or os.environ.get(TOKEN, "")
    file = os.environ.get(TOKEN_FILE)
    if not text and file:
        try:
            text = Path(file).read_text("utf-8")
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise ConfigurationError(f"{TOKEN_FILE}: {file} cannot be read: {why}.") from None
    text = text.strip()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigurationError(f"{TOKEN} is not a token: it has characters that none has.")
    return Secret(text) if text else None
