"""`rediss://`: every client of Redis verifies its certificate, and none ever speaks plain text."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flower.utils.broker import Broker

from sisgate.broker import celery_app
from sisgate.clock import SystemClock, poll_until
from sisgate.domain.network import TlsFault, tls_fault
from sisgate.redis.client import connect
from sisgate.settings import Settings
from sisgate.settings.urls import with_tls_files
from sisgate.stack.embedded_stack import why_silent
from testbed.tls import Authority, TlsProxy, server_context
from workers.admission.consumer import CheckingTransport

SETTINGS = Settings(data_dir=Path("/nowhere"))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Who signs what Redis and its clients show."""
    return Authority(tmp_path)


def redis_py(url: str) -> None:
    """Our own state, the gateway, doctor."""
    with connect(url) as client:
        assert client.ping()


def publishing(url: str) -> None:
    """Beat, the gateway, Flower's own consumer of events."""
    _connect(url, None)


def consuming(url: str) -> None:
    """A worker, whose transport is named by its class."""
    _connect(url, f"{CheckingTransport.__module__}:{CheckingTransport.__name__}")


def _connect(url: str, transport: str | None) -> None:
    app = celery_app(SETTINGS, url)
    with app.connection_for_read(transport=transport) as connection:
        connection.connect()
        assert connection.default_channel.client.ping()


def flower(url: str) -> None:
    """Flower's screen of the queues."""
    conf = celery_app(SETTINGS, url).conf
    broker = Broker(
        conf.broker_url,
        broker_options=conf.broker_transport_options,
        broker_use_ssl=conf.broker_use_ssl,
    )
    asyncio.run(broker.queues(["sisgate"]))


CLIENTS = [redis_py, publishing, consuming, flower]
clients = pytest.mark.parametrize("client", CLIENTS)
Client = Callable[[str], None]


@pytest.fixture
def proxy(redis_url: str, authority: Authority) -> Iterator[TlsProxy]:
    """A Redis that speaks TLS, and wants a certificate of its clients."""
    context = server_context(authority.issue("127.0.0.1"), clients_of=authority)
    with TlsProxy(urlsplit(redis_url).port or 0, context) as made:
        yield made


@clients
def test_a_client_with_the_authority_and_a_certificate_gets_in(
    proxy: TlsProxy, authority: Authority, client: Client
) -> None:
    """By parameters of the URL, which are those of redis-py."""
    files = {"ssl_ca_certs": authority.file, "ssl_certfile": authority.issue("sisgate")}
    client(with_tls_files(f"rediss://127.0.0.1:{proxy.port}/0", files))
    assert proxy.accepted > 0
    assert (proxy.plain, proxy.refused) == ([], [])


FAULTS: dict[TlsFault, Callable[[Authority, Authority], Path]] = {
    TlsFault.UNKNOWN_AUTHORITY: lambda _ours, theirs: theirs.issue("127.0.0.1"),
    TlsFault.EXPIRED: lambda ours, _theirs: ours.issue("127.0.0.1", expired=True),
    TlsFault.WRONG_NAME: lambda ours, _theirs: ours.issue("redis.test"),
}


@clients
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_no_client_says_a_word_to_a_redis_that_it_cannot_trust(
    redis_url: str, tmp_path: Path, authority: Authority, client: Client, fault: TlsFault
) -> None:
    """By default, without any parameter that says so; the error tells what is wrong."""
    certificate = FAULTS[fault](authority, Authority(tmp_path, "another"))
    with TlsProxy(urlsplit(redis_url).port or 0, server_context(certificate)) as proxy:
        url = f"rediss://:swordfish@127.0.0.1:{proxy.port}/0?ssl_ca_certs={authority.file}"
        with pytest.raises(Exception) as failed:  # noqa: PT011  # each client has its own
            client(url)
        assert tls_fault(failed.value) is fault
        assert poll_until(lambda: bool(proxy.refused), clock=SystemClock(), timeout_seconds=10)
        assert (proxy.plain, proxy.accepted) == ([], 0)
    assert "swordfish" not in repr(failed.value)


def test_a_certificate_is_not_looked_at_only_where_that_is_said(
    redis_url: str, authority: Authority
) -> None:
    """In Celery's words or redis-py's."""
    with TlsProxy(
        urlsplit(redis_url).port or 0, server_context(authority.issue("redis.test"))
    ) as proxy:
        for verify in ("none", "CERT_NONE"):
            url = with_tls_files(f"rediss://127.0.0.1:{proxy.port}/0?ssl_cert_reqs={verify}", {})
            for client in CLIENTS:
                client(url)
        assert proxy.refused == []


def test_up_says_what_is_wrong_with_the_certificate(proxy: TlsProxy, authority: Authority) -> None:
    """And that ours is missing."""
    url = f"rediss://127.0.0.1:{proxy.port}/0"
    assert why_silent(url) == TlsFault.UNKNOWN_AUTHORITY.value
    trusting = f"{url}?ssl_ca_certs={authority.file}"
    assert why_silent(trusting) == TlsFault.CLIENT_CERTIFICATE_MISSING.value


def test_a_url_that_names_the_database_twice_means_one_in_every_client(redis_url: str) -> None:
    """redis-py lets the parameter win."""
    url = f"{redis_url.rpartition('/')[0]}/0?db=3&socket_timeout=7&client_name=mine"
    app = celery_app(SETTINGS, url)
    with app.connection_for_write() as connection:
        inside = connection.default_channel.client.connection_pool.connection_kwargs
    ours = connect(url).connection_pool.connection_kwargs
    assert (inside["db"], inside["socket_timeout"], inside["client_name"]) == (3, 7, "mine")
    assert (ours["db"], ours["socket_timeout"], ours["client_name"]) == (3, 7, "mine")
