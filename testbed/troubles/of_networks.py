"""Troubles between us and a provider: certificates, proxies, names, and several hosts at once."""

from datetime import timedelta

from sisgate.domain.certificates import Certificate
from testbed.scene import DISTRICTS
from testbed.troubles.of_neglect import apply_version
from testbed.troubles.trouble import Expected, Trouble, answers, kind, of


def _reconnect(at: Trouble) -> None:
    """Close idle connections, as they are closed in time."""
    at.scene.runtime.transport.close()


def _rename(at: Trouble, *names: str) -> None:
    """Let the URLs of providers have a host whose name nobody knows, as if it were forgotten."""
    gateway = at.scene.gateway
    apply_version(at)
    for name in names:
        url = at.scene.districts[name].server.url
        plan = gateway.configuration.plan_renamed_endpoint(name, url, f"http://{name}.invalid")
        gateway.configuration.apply(plan, actor="test")
    at.scene.follow_configuration()


@kind(over_tls=True)
def certificate_expired(at: Trouble) -> Expected:
    """Its certificate has expired. That is nobody's network."""
    district, authority = at.scene.districts[at.district], at.scene.authority
    assert district.tls is not None
    assert authority is not None
    host = district.server.url.split("//")[1].partition(":")[0]
    district.tls.load_cert_chain(authority.issue(host, expired=True))
    _reconnect(at)
    if at.scene.random.random() < 0.5:
        at.scene.clock.advance(700)  # no other host was called meanwhile
    return of(
        "provider", "provider_down", "provider_unreachable", name=at.district, says="certificate"
    )


@kind(over_tls=True)
def certificate_ends(at: Trouble) -> Expected:
    """Its certificate ends within days; calls are still answered."""
    scene, now = at.scene, at.scene.clock.now()
    place = scene.districts[at.district].server.url.removeprefix("https://")
    ends_at = now + timedelta(days=scene.random.randint(1, 13))
    scene.runtime.certificates.note(Certificate(place, now - timedelta(days=300), ends_at))
    at.subject = scene.random.choice(("fleet", at.district))
    if scene.random.random() < 0.5:
        at.load = 0  # it is told of an idle one, too
    return of("provider", "certificate_expires", name=at.district, says=place)


@kind(over_tls=True, by_proxy=True)
def proxy_gone(at: Trouble) -> Expected:
    """Our proxy accepts no connection."""
    assert at.scene.proxy is not None
    at.scene.proxy.__exit__()
    _reconnect(at)
    at.subject = at.scene.random.choice(("fleet", at.district))
    return of("fleet", "network_down", says="proxy")


@kind(over_tls=True, by_proxy=True)
def proxy_refuses(at: Trouble) -> Expected:
    """Our proxy connects us no more."""
    assert at.scene.proxy is not None
    at.scene.proxy.refuse(at.scene.random.choice((403, 407, 502, 503)))
    _reconnect(at)
    return of("fleet", "network_down", says="proxy")


@kind()
def name_unknown(at: Trouble) -> Expected:
    """The name of its host has no address, while others answer."""
    _rename(at, at.district)
    at.others_work = True
    return of("provider", "provider_unreachable", "provider_down", name=at.district, says="name")


@kind()
def names_unknown(at: Trouble) -> Expected:
    """No name has an address: our own resolver is broken."""
    at.scene.clock.advance(700)
    _rename(at, *DISTRICTS[:2])
    for name in DISTRICTS[:2]:
        at.scene.load(name, 3)
        at.scene.work(name)
    at.others_work = True
    at.subject = at.scene.random.choice(("fleet", at.district))
    return of("fleet", "network_down", says="name")


@kind()
def two_gone(at: Trouble) -> Expected:
    """Two of three providers accept no connection, and the third one answers."""
    for name in DISTRICTS[:2]:
        at.scene.districts[name].stop()
        at.scene.load(name, 4)
        at.scene.work(name)

    def more() -> None:
        at.scene.load("clark", 2)
        at.scene.work("clark")

    at.more = more
    return of("provider", "provider_unreachable", "provider_down", name=at.district)


def _move_to_one_host(at: Trouble) -> str:
    """Let two districts be on the host of the first one, as one vendor's customers are."""
    first, second = DISTRICTS[:2]
    gateway = at.scene.gateway
    apply_version(at)
    old, new = (at.scene.districts[name].server.url for name in (second, first))
    plan = gateway.configuration.plan_renamed_endpoint(second, old, f"{new}/second")
    gateway.configuration.apply(plan, actor="test")
    at.scene.follow_configuration()
    for name in (first, second):
        at.scene.load(name, 4)
        at.scene.work(name)
    return new.partition("//")[2].partition(":")[0]


def _call(at: Trouble, *names: str) -> None:
    """Let providers be called in each interval."""

    def more() -> None:
        for name in names:
            at.scene.load(name, 3)
            at.scene.work(name)

    at.more, at.load = more, 0


@kind(bench_only=True)
def vendor_host_gone(at: Trouble) -> Expected:
    """The host of two districts accepts no connection; the third one, elsewhere, answers."""
    host = _move_to_one_host(at)
    at.scene.clock.advance(700)
    at.scene.load("clark", 4)
    at.scene.work("clark")
    at.scene.districts[DISTRICTS[0]].stop()
    _call(at, *DISTRICTS)
    at.district = DISTRICTS[0]
    at.subject = "fleet"
    return of("provider", "host_down", name=host)


@kind()
def vendor_host_gone_alone(at: Trouble) -> Expected:
    """The same, and no other host was called: one host is no network."""
    _move_to_one_host(at)
    at.scene.clock.advance(700)
    at.scene.districts[DISTRICTS[0]].stop()
    _call(at, *DISTRICTS[:2])
    at.subject = at.scene.random.choice(("fleet", *DISTRICTS[:2]))
    return of("provider", "provider_down", "provider_unreachable", may_doubt=True)


@kind(bench_only=True)
def vendor_host_fails(at: Trouble) -> Expected:
    """The host of two districts answers 503 to both."""
    host = _move_to_one_host(at)
    at.scene.districts[DISTRICTS[0]].answer = answers(503)
    _call(at, *DISTRICTS[:2])
    at.subject = "fleet"
    return of("provider", "host_down", name=host)
