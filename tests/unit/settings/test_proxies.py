"""Proxies and authorities of the machine's environment, and what a provider's table says."""

from pathlib import Path

import pytest

from sisgate.errors import ConfigurationError
from sisgate.settings import ProviderConfig, load_settings

TABLE = """
[providers.one]
kind = "powerschool"
{more}
[[providers.one.endpoints]]
url = "https://one.test"
"""
VARIABLES = (
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
)


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def load(folder: Path, more: str = "") -> ProviderConfig:
    """Read the configuration of one provider."""
    config = folder / "sisgate.toml"
    config.write_text(TABLE.format(more=more))
    return load_settings(config, data_dir=folder).providers["one"]


def test_the_environment_holds_for_every_provider(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for curl, pip and requests."""
    monkeypatch.setenv("HTTPS_PROXY", "http://ana:swordfish@proxy.test:8080")
    monkeypatch.setenv("NO_PROXY", "localhost, .near.test,10.0.0.0/8")
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/ssl/ours.pem")
    config = load(tmp_path)
    network = config.network
    assert network.proxy_for("https://one.test") == "http://ana:swordfish@proxy.test:8080"
    assert network.proxy_place == "proxy.test:8080"
    for url in ("https://a.near.test", "https://10.1.2.3", "http://one.test"):
        assert network.proxy_for(url) is None
    assert network.ca_file == Path("/etc/ssl/ours.pem")
    assert "swordfish" not in f"{config!r}{network!r}{config.model_dump_json()}"


def test_a_table_goes_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An own proxy is used for the hosts of NO_PROXY as well; an empty one is none."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:8080")
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ssl/ours.pem")
    mine = load(tmp_path, 'proxy = "https://mine.test"\nca_file = "mine.pem"').network
    assert mine.proxy_for("https://one.test") == "https://mine.test"
    assert mine.ca_file == tmp_path / "mine.pem"
    assert load(tmp_path, 'proxy = ""').network.proxy_for("https://one.test") is None


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://ana:perch@trout@proxy.test", "percent-encode"),
        ("http://ana:perch/trout@proxy.test", "percent-encode"),
        ("socks5://ana:perchtrout@proxy.test", "SOCKS is not supported"),
        ("http://ana:perchtrout@proxy.test:port", "write an HTTP proxy's URL"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_told_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, words: str
) -> None:
    """By the line of the file, or the variable."""
    with pytest.raises(ConfigurationError) as in_file:
        load(tmp_path, f'proxy = "{url}"')
    assert in_file.value.problems[0].startswith("sisgate.toml:4: providers.one.proxy: ")
    monkeypatch.setenv("HTTPS_PROXY", url)
    with pytest.raises(ConfigurationError) as in_environment:
        load(tmp_path)
    assert "environment: HTTPS_PROXY: " in str(in_environment.value)
    for told in (str(in_file.value), str(in_environment.value)):
        assert words in told
        assert "perch" not in told
        assert "trout" not in told


def test_a_proxy_that_cannot_be_used_concerns_nobody_without_https(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A demo on a machine with SOCKS runs."""
    monkeypatch.setenv("ALL_PROXY", "socks5://proxy.test")
    config = tmp_path / "sisgate.toml"
    text = TABLE.format(more="allow_insecure = true").replace("https", "http")
    config.write_text(text)
    assert load_settings(config, data_dir=tmp_path).providers["one"].proxy is None


def test_a_key_without_its_certificate_is_refused(tmp_path: Path) -> None:
    """It would be left aside without a word."""
    with pytest.raises(ConfigurationError, match="client_cert, which is missing"):
        load(tmp_path, 'client_key = "key.pem"')
