"""Which URLs and addresses webhooks may be sent to: none inside, unless the configuration says so.

An app chooses the URL, and a worker connects to it from where the fleet stands. So whoever may add
a webhook could otherwise reach what only the fleet can: an admin page on loopback, a database, the
cloud's metadata service with its credentials (server-side request forgery, OWASP API7:2023).

A name is judged by all addresses that it resolves to, at each attempt, and the connection goes to
an address that was judged.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
AnyNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

LONGEST_URL = 2000

METADATA = frozenset(
    map(
        ipaddress.ip_address,
        (
            "169.254.169.254", "169.254.170.2", "169.254.170.23",  # AWS, GCP, Azure, Oracle; ECS
            "100.100.100.200",  # Alibaba
            "168.63.129.16",  # Azure's host, a public address
            "192.0.0.192",  # Oracle
            "fd00:ec2::254", "fd00:ec2::23",  # AWS
            "fd20:ce::254",  # GCP
        ),
    )
)  # fmt: skip
"""The metadata services of clouds. To allow one, its own address must be named.

From the documentation of each cloud, read 2026-11-29.
"""

# Registries of special-purpose addresses, IANA, read 2026-11-29. `is_global` of Python has
# changed with its patch releases, so it is not asked alone.
_SPECIAL: tuple[AnyNetwork, ...] = tuple(
    ipaddress.ip_network(each)
    for each in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23",
        "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10",
        "fec0::/10", "ff00::/8",
    )
)  # fmt: skip

# What inet_aton reads as an address, beside the usual form: 2130706433, 0x7f.1, 017700000001.
_OLD_FORM = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+)){0,3}\.?", re.IGNORECASE)
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)


@dataclass(frozen=True)
class ReceiverRules:
    """What the configuration allows beyond https to public addresses."""

    allow_http: bool = False
    networks: tuple[AnyNetwork, ...] = ()

    def refusal_of_address(self, text: str) -> str | None:
        """Return why nothing is sent to an address; None if it may be.

        >>> rules = ReceiverRules(networks=(ipaddress.ip_network("10.1.0.0/16"),))
        >>> rules.refusal_of_address("10.1.2.3"), rules.refusal_of_address("8.8.8.8")
        (None, None)
        >>> ReceiverRules().refusal_of_address("::ffff:127.0.0.1")
        '127.0.0.1 is not a public address'
        """
        address = read_address(text)
        if address is None:
            return f"{text!r} is not an address"
        if address in METADATA:
            single = any(n.num_addresses == 1 and address in n for n in self.networks)
            return None if single else f"{address} is the metadata service of a cloud"
        if any(address in network for network in self.networks):
            return None
        return None if is_public(address) else f"{address} is not a public address"

    def refusal_of_all(self, addresses: Sequence[str]) -> str | None:
        """Return why nothing is sent to a name that resolves to these; None if it may be.

        One forbidden address among others is enough: which one is used must not be left to chance.
        """
        if not addresses:
            return "the name has no address"
        return next(filter(None, map(self.refusal_of_address, addresses)), None)

    def refusal_of_url(self, url: str) -> str | None:
        """Return what is wrong with the URL of a webhook by itself, without resolving its name.

        >>> ReceiverRules().refusal_of_url("https://app.example/sis?of=1")
        >>> ReceiverRules().refusal_of_url("http://app.example/")
        'it must begin with https://'
        >>> ReceiverRules().refusal_of_url("https://0x7f.1/")
        '0x7f.1 is an old form of an address'
        """
        parts = _split(url)
        if parts is None:
            return "it is not a URL"
        if parts.scheme != "https" and not (self.allow_http and parts.scheme == "http"):
            wanted = "https:// or http://" if self.allow_http else "https://"
            return f"it must begin with {wanted}"
        if "@" in parts.netloc:
            return "it must not hold a user name or password: the signature tells who sends"
        if parts.fragment:
            return "it must not have a fragment"
        host = parts.hostname or ""
        if "%" in host:
            return "a zone of an address is not allowed"
        if "[" in parts.netloc or _is_address(host):
            return self.refusal_of_address(host)
        if _OLD_FORM.fullmatch(host):
            return f"{host} is an old form of an address"
        labels = host.removesuffix(".").split(".")
        if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
            return f"{host[:80]!r} is not a host name; write international ones as xn--…"
        return None


def read_address(text: str) -> Address | None:
    """Return an address as its text says, an IPv4-mapped one as that of IPv4; None if it is none.

    >>> read_address("::ffff:10.0.0.1"), read_address("fe80::1%eth0"), read_address("0177.0.0.1")
    (IPv4Address('10.0.0.1'), IPv6Address('fe80::1'), None)
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet's hosts.

    Forms of IPv6 that carry one of IPv4 (6to4, Teredo, NAT64) are not: they may lead inside.
    """
    if any(address in network for network in _SPECIAL if network.version == address.version):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _split(url: str) -> SplitResult | None:
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        return None
    if "\\" in url:  # browsers and libraries disagree about what it means
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    return parts if parts.hostname and port != 0 else None
