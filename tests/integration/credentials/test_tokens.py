"""One token for the fleet: fetched once, renewed once, and never in plain text outside."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from sisgate.clock import SystemClock
from sisgate.credentials.keys import Credential
from sisgate.credentials.master import MasterKey
from sisgate.credentials.tokens import TokenCache
from sisgate.credentials.vault import Vault
from sisgate.domain.secret import Secret
from sisgate.errors import BrokerUnavailable, ProviderUnavailable, TokenRefused
from sisgate.redis.client import connect
from sisgate.sandbox.process import SandboxProcess
from sisgate.sandbox.spec import DistrictSpec, SandboxSpec
from sisgate.settings import Endpoint, ProviderConfig

NAME = "skyward"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    """One small district."""
    with SandboxProcess(SandboxSpec((DistrictSpec(NAME, "skyward", students=5),))) as process:
        yield process


@pytest.fixture
def config(sandbox: SandboxProcess) -> ProviderConfig:
    """The provider, at its start."""
    sandbox.reset(NAME)
    district = sandbox.districts[NAME]
    return ProviderConfig(
        name=NAME,
        kind="skyward",
        allow_insecure=True,
        token_url=district.token_url,
        endpoints=(Endpoint(url=district.url),),
    )


@pytest.fixture
def key(sandbox: SandboxProcess) -> Credential:
    """A key that the district accepts."""
    district = sandbox.districts[NAME]
    return Credential("key-1", NAME, district.client_id, Secret(district.client_secret))


def cache(redis_url: str) -> TokenCache:
    """Return the token cache of one worker."""
    client = connect(redis_url)
    return TokenCache(client, Vault([MasterKey(b"k" * 32)]), SystemClock())


def issued(sandbox: SandboxProcess) -> int:
    """Return how many tokens the district has given."""
    count: int = sandbox.stats(NAME)["token_calls"]
    return count


def test_many_workers_that_need_a_token_fetch_one(
    redis_url: str, sandbox: SandboxProcess, config: ProviderConfig, key: Credential
) -> None:
    """Each gets the same, and the token endpoint is asked once."""
    found: list[str] = []

    def get() -> None:
        found.append(cache(redis_url).get(config, key).value.get_secret_value())

    threads = [threading.Thread(target=get) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 12
    assert len(set(found)) == 1
    assert issued(sandbox) == 1


def test_a_refused_token_is_renewed_once_and_the_new_one_is_kept(
    redis_url: str, sandbox: SandboxProcess, config: ProviderConfig, key: Credential
) -> None:
    """A worker that still reports the old one does not drop the new one."""
    one, other = cache(redis_url), cache(redis_url)
    old = one.get(config, key)
    sandbox.expire_tokens(NAME)
    one.forget(config, key, old)
    new = one.get(config, key)
    assert new.value != old.value
    other.forget(config, key, old)
    assert other.get(config, key).value == new.value
    assert issued(sandbox) == 2


def test_a_token_is_renewed_before_its_end(
    redis_url: str, sandbox: SandboxProcess, config: ProviderConfig, key: Credential
) -> None:
    """At a tenth of a short life: Redis lets it go by then."""
    sandbox.knobs(NAME, token_lifetime_seconds=100)
    cache(redis_url).get(config, key)
    (name,) = connect(redis_url).keys("*token*")
    left: Any = connect(redis_url).pttl(name)
    assert 80_000 < left <= 90_000


def test_a_wrong_key_is_told_and_not_remembered(
    redis_url: str, config: ProviderConfig, key: Credential
) -> None:
    """The message says what to check and holds no secret."""
    wrong = Credential("key-2", NAME, key.client_id, Secret("swordfish"))
    with pytest.raises(TokenRefused) as refused:
        cache(redis_url).get(config, wrong)
    assert "keys add" in refused.value.message
    assert "swordfish" not in refused.value.message
    assert connect(redis_url).keys("*") == []


@pytest.mark.parametrize("fault", [500, "reset", "malformed"])
def test_a_token_endpoint_that_fails_may_be_asked_again(
    redis_url: str, sandbox: SandboxProcess, config: ProviderConfig, key: Credential, fault: Any
) -> None:
    """It is the provider's failure, not a refusal of the key; the lock is let go."""
    sandbox.knobs(NAME, fail_tokens=[fault])
    tokens = cache(redis_url)
    with pytest.raises(ProviderUnavailable):
        tokens.get(config, key)
    assert tokens.get(config, key).value.get_secret_value()


def test_no_secret_is_readable_outside(
    redis_url: str, config: ProviderConfig, key: Credential
) -> None:
    """Neither in Redis nor in what is printed of keys and tokens."""
    token = cache(redis_url).get(config, key)
    secrets = [token.value.get_secret_value(), key.secret.get_secret_value()]
    client = connect(redis_url)
    dump = repr([(name, client.get(name)) for name in client.scan_iter()])
    assert "token" in dump
    for secret in secrets:
        assert secret not in dump
        for shown in (token, key, config):
            assert secret not in f"{shown!r} {shown}"


def test_without_redis_the_error_says_so(config: ProviderConfig, key: Credential) -> None:
    """It is transient: the call waits."""
    with pytest.raises(BrokerUnavailable):
        cache("redis://127.0.0.1:1/0").get(config, key)
