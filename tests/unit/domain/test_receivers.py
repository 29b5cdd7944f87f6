"""Where webhooks may be sent: no form of an inner address passes."""

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sisgate.domain.receivers import METADATA, ReceiverRules, is_public, read_address

STRICT = ReceiverRules(allow_http=True)
INNER = [
    ipaddress.ip_network(each)
    for each in (
        "10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
        "100.64.0.0/10", "0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4",
    )
]  # fmt: skip
inner_v4 = st.sampled_from(INNER).flatmap(
    lambda net: st.integers(int(net[0]), int(net[-1])).map(ipaddress.IPv4Address)
)
inner_v6 = st.sampled_from(
    ["::1", "::", "fe80::1", "fc00::1", "fd12::5", "ff02::1", "fec0::1"]
).map(ipaddress.IPv6Address)


def old_forms(address: ipaddress.IPv4Address) -> list[str]:
    """What inet_aton and browsers read as this address, beside its usual form."""
    number = int(address)
    a, b, c, d = address.packed
    return [
        str(number), hex(number), f"0{number:o}", f"{a}.{number & 0xFFFFFF}",
        f"{a}.{b}.{number & 0xFFFF}", ".".join(hex(each) for each in (a, b, c, d)),
        ".".join(f"0{each:o}" for each in (a, b, c, d)), f"{a}.{b}.{c}.{d}.",
        f"0x{a:x}.{b}.{c}.{d}",
    ]  # fmt: skip


def wrapped(address: ipaddress.IPv4Address) -> list[str]:
    """Addresses of IPv6 that carry one of IPv4."""
    high, low = int(address) >> 16, int(address) & 0xFFFF
    return [
        f"::ffff:{address}", f"::ffff:{high:x}:{low:x}", f"::{high:x}:{low:x}",
        f"64:ff9b::{high:x}:{low:x}", f"2002:{high:x}:{low:x}::1",
        f"0:0:0:0:0:ffff:{high:x}:{low:x}",
    ]  # fmt: skip


@given(inner_v4)
def test_no_form_of_an_inner_address_is_allowed(address: ipaddress.IPv4Address) -> None:
    """As it is, wrapped in one of IPv6, or in an old form of a URL's host."""
    assert STRICT.refusal_of_address(str(address)) is not None
    for text in wrapped(address):
        assert STRICT.refusal_of_address(text) is not None, text
        assert STRICT.refusal_of_url(f"http://[{text}]/") is not None, text
    for text in [str(address), *old_forms(address)]:
        assert STRICT.refusal_of_url(f"https://{text}:8443/x") is not None, text


@given(inner_v6, st.sampled_from(["", "%eth0", "%25eth0", "%1"]))
def test_no_inner_address_of_ipv6_is_allowed(address: ipaddress.IPv6Address, zone: str) -> None:
    """With and without a zone."""
    assert STRICT.refusal_of_address(f"{address}{zone}") is not None
    assert STRICT.refusal_of_url(f"https://[{address}{zone}]/") is not None


@given(st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address))
def test_whatever_the_resolver_reads_as_an_address_is_judged(
    address: ipaddress.IPv4Address,
) -> None:
    """A form that passes as a name would be resolved, to the address that is judged then."""
    for text in old_forms(address):
        try:
            read = socket.inet_ntoa(socket.inet_aton(text))
        except OSError:
            continue
        refused = STRICT.refusal_of_url(f"https://{text}/") is not None
        assert refused or STRICT.refusal_of_address(read) is None, text


@given(st.ip_addresses())
def test_a_public_address_is_global_and_no_other_is(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """At least as strict as Python is."""
    if is_public(address):
        assert address.is_global
        assert not any((address.is_loopback, address.is_link_local, address.is_multicast))


@pytest.mark.parametrize("text", sorted(map(str, METADATA)))
def test_a_metadata_service_needs_its_own_address_in_the_configuration(text: str) -> None:
    """A network around it is not enough, also where it is public."""
    address = ipaddress.ip_address(text)
    around = ReceiverRules(networks=(ipaddress.ip_network(f"{text}/8", strict=False),))
    named = ReceiverRules(networks=(ipaddress.ip_network(text),))
    for rules, is_allowed in ((STRICT, False), (around, False), (named, True)):
        assert (rules.refusal_of_address(text) is None) is is_allowed
    if address.version == 4:
        assert STRICT.refusal_of_address(f"::ffff:{text}") is not None


def test_one_inner_address_among_public_ones_is_enough() -> None:
    """Which one is used is not left to chance."""
    assert STRICT.refusal_of_all(["93.184.215.14", "2606:2800:21f:cb07::1"]) is None
    assert STRICT.refusal_of_all(["93.184.215.14", "10.0.0.1"]) is not None
    assert STRICT.refusal_of_all([]) is not None


def test_what_the_configuration_allows_is_allowed() -> None:
    """Also when it comes wrapped."""
    rules = ReceiverRules(networks=(ipaddress.ip_network("10.4.0.0/16"),))
    assert rules.refusal_of_url("https://10.4.1.2/x") is None
    assert rules.refusal_of_address("::ffff:10.4.1.2") is None
    assert rules.refusal_of_address("10.5.0.1") is not None


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://app.example/", "begin with"),
        ("//app.example/", "begin with"),
        ("https:///x", "not a URL"),
        ("https://user:pass@app.example/", "user name"),
        ("https://app.example@10.0.0.1/", "user name"),
        ("https://app.example/#x", "fragment"),
        ("https://app.example\\@10.0.0.1/", "not a URL"),
        ("https://app.example/\r\nHost: x", "not a URL"),
        ("https://app.example/ x", "not a URL"),
        ("https://app.example:0/", "not a URL"),
        ("https://app.example:99999/", "not a URL"),
        ("https://[::1/", "not a URL"),
        ("https://äpp.example/", "not a URL"),
        ("https://app..example/", "host name"),
        ("https://-app.example/", "host name"),
        ("https://" + "a" * 3000, "not a URL"),
        ("", "not a URL"),
    ],
)
def test_what_is_no_url_of_a_receiver_is_refused(url: str, why: str) -> None:
    """With the reason."""
    assert why in str(STRICT.refusal_of_url(url))


@given(st.text(max_size=60))
def test_no_text_breaks_the_rules(text: str) -> None:
    """Each is judged."""
    STRICT.refusal_of_url(text)
    STRICT.refusal_of_url(f"https://{text}")
    read_address(text)
