"""Private authorities, client certificates and proxies of a provider, against real servers."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from sisgate.clock import SystemClock
from sisgate.credentials.keys import Credential
from sisgate.credentials.token_endpoint import fetch_token
from sisgate.domain.certificates import NoteCertificate
from sisgate.domain.network import TlsFault
from sisgate.domain.secret import Secret
from sisgate.errors import ProviderUnavailable
from sisgate.gateway.diagnosis.provider import endpoints
from sisgate.gateway.diagnosis.result import DiagnosticResult
from sisgate.monitoring.certificates import CertificateWatch, ending_certificates
from sisgate.providers.http import HttpRequest
from sisgate.redis.client import connect
from sisgate.settings import Endpoint, ProviderConfig
from sisgate.transport import Transport
from testbed.http_server import Asked, HttpServer, Reply, json_reply
from testbed.proxy import ConnectProxy
from testbed.tls import Authority, server_context

CLOCK = SystemClock()
KEY = Credential("key-1", "lincoln", "41", Secret("swordfish"))
USER = "ana:p@ss/wo#rd"


def answer(asked: Asked) -> Reply:
    """A token and an empty list."""
    if asked.path == "/token":
        return json_reply({"access_token": "tok-1"})
    return json_reply({"orgs": []})


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A district's own."""
    return Authority(tmp_path)


@pytest.fixture
def sis(authority: Authority) -> Iterator[HttpServer]:
    """A SIS whose certificate that authority has signed."""
    with HttpServer(answer, tls=server_context(authority.issue("localhost"))) as server:
        yield server


def config_of(server: HttpServer, **more: Any) -> ProviderConfig:
    """The provider of a server."""
    url = server.url.replace("127.0.0.1", "localhost")
    return ProviderConfig(
        name="lincoln",
        kind="oneroster",
        allow_insecure=True,
        token_url=f"{url}/token",
        endpoints=(Endpoint(url=url),),
        **more,
    )


def checked(config: ProviderConfig) -> DiagnosticResult:
    """Return what doctor says of the endpoint."""
    with closing(Transport(CLOCK)) as transport:
        (finding,) = endpoints(config, transport, CLOCK.now())
        return finding


def call(config: ProviderConfig, note: NoteCertificate | None = None) -> int:
    """Make a call and return its status."""
    transport = Transport(CLOCK, note_certificate=note)
    try:
        return transport.send(
            config.endpoints[0].url,
            HttpRequest("/orgs"),
            None,
            config.network,
            timeout_seconds=10,
            max_body_bytes=10_000,
        ).status
    finally:
        transport.close()


def token(config: ProviderConfig, note: NoteCertificate | None = None) -> int:
    """Fetch a token."""
    value, _ = fetch_token(config, KEY, CLOCK, note_certificate=note)
    return 200 if value.get_secret_value() == "tok-1" else 0


ways = pytest.mark.parametrize("way", [call, token])
Way = Callable[..., int]


def failure(way: Way, config: ProviderConfig) -> ProviderUnavailable:
    """Return the error of a way that fails before anything was sent."""
    with pytest.raises(ProviderUnavailable) as failed:
        way(config)
    return failed.value


@ways
def test_a_private_authority_is_trusted_where_it_is_named(
    sis: HttpServer, authority: Authority, way: Way
) -> None:
    """And nowhere else: the error says which setting is missing."""
    error = failure(way, config_of(sis))
    assert TlsFault.UNKNOWN_AUTHORITY.value[4:] in error.message
    assert "ca_file" in error.message
    assert error.detail["sent"] is False
    assert sis.asked == []
    assert way(config_of(sis, ca_file=authority.file)) == 200


@ways
@pytest.mark.parametrize(
    ("fault", "name", "expired"),
    [(TlsFault.EXPIRED, "localhost", True), (TlsFault.WRONG_NAME, "sis.test", False)],
)
def test_what_is_wrong_with_a_certificate_is_named(
    authority: Authority, way: Way, fault: TlsFault, name: str, expired: bool
) -> None:
    """By the error and by doctor; nothing was sent."""
    context = server_context(authority.issue(name, expired=expired))
    with HttpServer(answer, tls=context) as server:
        config = config_of(server, ca_file=authority.file)
        error = failure(way, config)
        assert fault.value[4:] in error.message
        assert error.detail["tls"] == fault.name.lower()
        assert error.detail["sent"] is False
        finding = checked(config)
        assert finding.grade == "fail"
        assert fault.value[4:] in finding.what
        assert server.asked == []


@ways
def test_a_certificate_that_ends_soon_is_seen_by_calls(
    authority: Authority, way: Way, redis_url: str
) -> None:
    """And told of by doctor; a renewed one is seen with the next connection."""
    context = server_context(authority.issue("localhost", ends_in=timedelta(hours=3)))
    with HttpServer(answer, tls=context) as server, closing(connect(redis_url)) as redis:
        config = config_of(server, ca_file=authority.file)
        watch = CertificateWatch(redis, CLOCK)
        way(config, watch.note)
        (ending,) = ending_certificates(redis, CLOCK.now()).values()
        assert ending.place == f"localhost:{server.port}"
        assert timedelta(hours=2) < ending.ends_at - CLOCK.now() <= timedelta(hours=3)
        assert ending_certificates(redis, CLOCK.now() + timedelta(hours=4)) == {}
        finding = checked(config)
        assert (finding.grade, "expires at" in finding.what) == ("warn", True)
        context.load_cert_chain(authority.issue("localhost"))
        way(config, watch.note)
        assert ending_certificates(redis, CLOCK.now()) == {}


@ways
def test_a_server_without_tls_is_named(way: Way) -> None:
    """Where https is written for a port that speaks http."""
    with HttpServer(answer) as server:
        url = f"https://localhost:{server.port}"
        config = config_of(server).model_copy(
            update={"endpoints": (Endpoint(url=url),), "token_url": f"{url}/token"}
        )
        assert TlsFault.NO_TLS.value[3:] in failure(way, config).message


@ways
def test_a_client_certificate_is_shown_where_it_is_wanted(authority: Authority, way: Way) -> None:
    """Key and certificate in one file or two; without it the error may tell that it is wanted."""
    context = server_context(authority.issue("localhost"), clients_of=authority)
    ours = authority.issue("sisgate")
    with HttpServer(answer, tls=context) as server:
        trusting = {"ca_file": authority.file}
        failure(way, config_of(server, **trusting))
        assert server.asked == []
        assert way(config_of(server, **trusting, client_cert=ours)) == 200
        assert way(config_of(server, **trusting, client_cert=ours, client_key=ours)) == 200


@ways
def test_files_that_cannot_be_used_are_named(
    sis: HttpServer, authority: Authority, tmp_path: Path, way: Way
) -> None:
    """Before OpenSSL asks the terminal for the password of a key."""
    encrypted = authority.issue("sisgate", password="swordfish")
    missing = tmp_path / "missing.pem"
    for more, words in (
        ({"client_cert": encrypted}, "is encrypted"),
        ({"client_cert": missing}, str(missing)),
        ({"ca_file": missing}, str(missing)),
    ):
        config = config_of(sis, **{"ca_file": authority.file, **more})
        assert words in failure(way, config).message
        finding = checked(config)
        assert finding.grade == "fail"
        assert words in finding.what
    assert sis.asked == []


@ways
def test_a_proxy_connects_us_and_sees_no_key(
    sis: HttpServer, authority: Authority, way: Way
) -> None:
    """It is asked for host and port; what is sent is between us and the SIS."""
    with ConnectProxy(user=USER) as proxy:
        url = f"http://{quote('ana')}:{quote('p@ss/wo#rd', safe='')}@{proxy.place}"
        config = config_of(sis, ca_file=authority.file, proxy=url)
        assert way(config) == 200
        assert proxy.asked == [f"localhost:{sis.port}"]
        finding = checked(config)
        assert finding.grade == "ok"
        assert f"by the proxy {proxy.place}" in finding.what
        near = config_of(sis, ca_file=authority.file, proxy=url, no_proxy=("localhost",))
        assert way(near) == 200
        assert len(proxy.asked) == 2
        shown = f"{config!r}{config.network!r}{finding}"
        assert not any(part in shown for part in ("wo#rd", "wo%23rd", "p@ss", "p%40ss"))


@ways
@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"user": USER}, "wants another user name and password"),
        ({"answer": 403}, "answered 403"),
        ({"answer": 502}, "answered 502"),
    ],
)
def test_what_a_proxy_refuses_is_told_as_its_refusal(
    sis: HttpServer, authority: Authority, way: Way, made: dict[str, Any], words: str
) -> None:
    """And not as the provider's; nothing has reached that."""
    with ConnectProxy(**made) as proxy:
        url = f"http://ana:swordfish@{proxy.place}"
        config = config_of(sis, ca_file=authority.file, proxy=url)
        error = failure(way, config)
    assert f"The proxy {proxy.place} {words}" in error.message
    assert error.detail["sent"] is False
    assert "swordfish" not in error.message
    assert sis.asked == []


@ways
def test_a_proxy_that_is_not_there_is_named(sis: HttpServer, way: Way) -> None:
    """With where it was looked for."""
    error = failure(way, config_of(sis, proxy="http://ana:swordfish@127.0.0.1:1"))
    assert "The proxy 127.0.0.1:1 cannot be reached" in error.message
    assert "swordfish" not in error.message


@ways
def test_the_environment_of_the_process_is_not_read_by_a_request(
    sis: HttpServer, authority: Authority, way: Way, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It was read with the configuration, once; a netrc never is."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login mallory password guess\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert way(config_of(sis, ca_file=authority.file)) == 200
    assert not any("guess" in str(asked) for asked in sis.asked)


def test_a_server_that_cannot_be_reached_from_here_is_a_warning() -> None:
    """Workers may reach it."""
    config = ProviderConfig(
        name="lincoln",
        kind="oneroster",
        auth="none",
        endpoints=(Endpoint(url="https://127.0.0.1:1"),),
    )
    finding = checked(config)
    assert finding.grade == "warn"
