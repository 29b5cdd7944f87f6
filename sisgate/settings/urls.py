"""The URLs of Redis and the ledger: what is wrong with one, without repeating its password."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from sisgate.settings.files import authorities_problem, certificate_problem

_DRIVERS = {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}
_TLS_OPTIONS = frozenset(
    {
        "ssl_ca_certs",
        "ssl_ca_path",
        "ssl_certfile",
        "ssl_keyfile",
        "ssl_password",
        "ssl_cert_reqs",
        "ssl_check_hostname",
        "ssl_min_version",
        "ssl_ciphers",
    }
)
_OPTIONS = _TLS_OPTIONS | {
    "db",
    "socket_timeout",
    "socket_connect_timeout",
    "socket_keepalive",
    "health_check_interval",
    "client_name",
}
"""The parameters of a Redis URL that every client of the fleet supports, by redis-py's names."""

_VERIFIES = frozenset({"none", "optional", "required"})


def with_driver(url: str) -> str:
    """Return the ledger's URL, with psycopg 3 as the driver of a plain `postgresql://`."""
    return re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url)


def unencoded(url: str) -> str | None:
    """Return what to do about a user name or password with reserved characters; None without any.

    Clients would take the rest of the password for the host, and show that in messages.

    >>> unencoded("redis://:pa%40ss@redis.test/0?client_name=x")
    >>> unencoded("redis://:pa@ss/wo#rd@redis.test/0")
    'percent-encode the user name and password: @ is %40, / is %2F, # is %23, ? is %3F, % is %25'
    """
    user_info, at, _ = url.partition("://")[2].rpartition("@")
    if at and re.search(r"[@/?#\\\[\]\s]", user_info):
        return (
            "percent-encode the user name and password: @ is %40, / is %2F, # is %23, ? is %3F, "
            "% is %25"
        )
    return None


def broker_problem(url: str) -> str | None:
    """Return what is wrong with a URL of Redis, or None.

    >>> broker_problem("rediss://:secret@redis.test:6380/1?ssl_cert_reqs=required")
    >>> broker_problem("foo://:secret@redis.test")
    'write redis:// or rediss://, host, port and the number of the database'
    >>> broker_problem("redis://redis.test/0?ssl_cert_reqs=none")
    'ssl_cert_reqs is for TLS: write rediss://'
    """
    # Imported lazily: only processes that connect to Redis need it.
    from sisgate.redis.client import parse_url

    hint = "write redis:// or rediss://, host, port and the number of the database"
    if not url.startswith(("redis://", "rediss://")):
        return hint
    if (what := unencoded(url)) is not None:
        return what
    try:
        options = parse_url(url)
    except (ValueError, TypeError) as error:
        return _wrong_value(str(error)) or hint
    path = re.sub(r"[?#].*", "", url.partition("://")[2].rpartition("@")[2]).partition("/")[2]
    if not re.fullmatch(r"[0-9]*", path):
        return hint
    return _options_problem(url, options)


def _wrong_value(error: str) -> str | None:
    """Return which parameter redis-py cannot parse, or None; it names only those it knows."""
    match = re.match(r"Invalid value for '(\w+)'", error)
    if match is None:
        return None
    numbers = ": 771 is TLS 1.2, 772 is TLS 1.3" if match[1] == "ssl_min_version" else ""
    return f"{match[1]} has an invalid value{numbers}"


def _options_problem(url: str, options: Mapping[str, Any]) -> str | None:
    names = [name for name, _ in _query(url)]
    if unknown := [name for name in names if name not in _OPTIONS]:
        # Not quoted: an unknown one may be the rest of a password.
        known = ", ".join(sorted(_OPTIONS))
        return f"{len(unknown)} of its parameters after ? cannot be used; known are {known}"
    tls = [name for name in names if name in _TLS_OPTIONS]
    if tls and not url.startswith("rediss://"):
        return f"{', '.join(tls)} is for TLS: write rediss://"
    if options.get("ssl_cert_reqs", "required") not in _VERIFIES:
        return "ssl_cert_reqs is required, optional or none"
    if (file := options.get("ssl_ca_certs")) and (what := authorities_problem(Path(file))):
        return what
    certificate, key = options.get("ssl_certfile"), options.get("ssl_keyfile")
    if certificate or key:
        if not certificate:
            return "ssl_keyfile is the key of ssl_certfile, which is missing"
        password = options.get("ssl_password")
        return certificate_problem(Path(certificate), Path(key) if key else None, password)
    return None


def with_tls_files(url: str, files: Mapping[str, Path | None]) -> str:
    """Return the URL of Redis with files (by redis-py's names) as its parameters.

    Celery's spelling (`ssl_cert_reqs=CERT_REQUIRED`) is converted to redis-py's.

    >>> with_tls_files("rediss://redis.test/0?db=1", {"ssl_ca_certs": Path("/ca.pem")})
    'rediss://redis.test/0?db=1&ssl_ca_certs=%2Fca.pem'
    """
    original = dict(_query(url))
    query = {**original, **{name: str(file.absolute()) for name, file in files.items() if file}}
    if (verify := query.get("ssl_cert_reqs", "")).startswith("CERT_"):
        query["ssl_cert_reqs"] = verify.removeprefix("CERT_").lower()
    if query == original:
        return url
    return f"{url.partition('?')[0]}?{urlencode(query)}"


def _query(url: str) -> list[tuple[str, str]]:
    return parse_qsl(url.partition("?")[2].partition("#")[0], keep_blank_values=True)


def database_problem(url: str) -> str | None:
    """Return what is wrong with a URL of the ledger, or None.

    >>> database_problem("postgresql://me:secret@db.test/sisgate")
    >>> database_problem("mysql://me:secret@db.test/sisgate")
    'write postgresql://, user, host and name of the database, or sqlite:/// and a path'
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    hint = "write postgresql://, user, host and name of the database, or sqlite:/// and a path"
    if not url.startswith("sqlite") and (what := unencoded(url)) is not None:
        return what
    try:
        return None if make_url(with_driver(url)).drivername in _DRIVERS else hint
    except (ArgumentError, ValueError):
        return hint


URL_PROBLEMS: Mapping[str, Callable[[str], str | None]] = {
    "broker_url": broker_problem,
    "database_url": database_problem,
}
"""By the name of the setting."""


_TRANSPORT_OPTIONS = (
    "socket_timeout",
    "socket_connect_timeout",
    "socket_keepalive",
    "health_check_interval",
    "client_name",
)
"""The parameters of a Redis URL that kombu takes as transport options."""


@dataclass(frozen=True)
class BrokerAddress:
    """The address of Redis: `url` without parameters, `use_ssl` and `options` for Celery.

    redis-py reads the whole URL itself. kombu connects without TLS if its transport is named by a
    class, whatever the URL's scheme, and Flower reads no parameters: both use TLS only because of
    `broker_use_ssl`. The certificate is verified unless the URL says otherwise.
    """

    url: str
    use_ssl: Mapping[str, Any] | None
    options: Mapping[str, Any]

    @classmethod
    def of(cls, url: str) -> BrokerAddress:
        """Return the parts of a URL.

        >>> BrokerAddress.of("rediss://redis.test/0?db=1&ssl_ca_certs=/ca.pem")
        ... # doctest: +NORMALIZE_WHITESPACE
        BrokerAddress(url='rediss://redis.test/1',
            use_ssl={'ssl_cert_reqs': 'required', 'ssl_check_hostname': True,
                     'ssl_ca_certs': '/ca.pem'}, options={})
        >>> BrokerAddress.of("redis://redis.test/0").use_ssl
        """
        from sisgate.redis.client import parse_url

        values, parts = parse_url(url), urlsplit(url)
        tls = {name: value for name, value in values.items() if name.startswith("ssl_")}
        use_ssl = {"ssl_cert_reqs": "required", "ssl_check_hostname": True, **tls}
        return cls(
            urlunsplit((parts.scheme, parts.netloc, f"/{values.get('db', 0)}", "", "")),
            use_ssl if parts.scheme == "rediss" else None,
            {name: values[name] for name in _TRANSPORT_OPTIONS if name in values},
        )
