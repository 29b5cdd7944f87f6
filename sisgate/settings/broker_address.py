"""A URL of Redis in the parts that kombu and Flower take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

_TRANSPORT_OPTIONS = (
    "socket_timeout",
    "socket_connect_timeout",
    "socket_keepalive",
    "health_check_interval",
    "client_name",
)
"""The parameters of a Redis URL that kombu takes as options of its transport."""


@dataclass(frozen=True)
class BrokerAddress:
    """Where Redis is: `url` without parameters, `use_ssl` and `options` for Celery's settings.

    redis-py reads the whole URL itself. kombu connects without TLS where its transport is named by
    a class, whatever the URL's scheme, and Flower reads no parameters: both know of TLS by
    `broker_use_ssl` alone. The certificate is verified unless the URL says otherwise.
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
        from redis.connection import parse_url

        given, parts = parse_url(url), urlsplit(url)
        tls = {name: value for name, value in given.items() if name.startswith("ssl_")}
        use_ssl = {"ssl_cert_reqs": "required", "ssl_check_hostname": True, **tls}
        return cls(
            urlunsplit((parts.scheme, parts.netloc, f"/{given.get('db', 0)}", "", "")),
            use_ssl if parts.scheme == "rediss" else None,
            {name: given[name] for name in _TRANSPORT_OPTIONS if name in given},
        )
