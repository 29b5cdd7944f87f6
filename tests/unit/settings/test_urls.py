"""What is wrong with a URL, and nothing of its password; what the parts of one mean."""

import re
import ssl
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from sisgate.errors import ConfigurationError
from sisgate.settings import load_settings
from sisgate.settings.urls import BrokerAddress, broker_problem, database_problem
from testbed.tls import Authority

PROBLEMS = {
    "redis://:{}@redis.test:6379/0": broker_problem,
    "rediss://me:{}@redis.test/0?socket_timeout=3": broker_problem,
    "postgresql://me:{}@db.test/sisgate": database_problem,
}
shapes = pytest.mark.parametrize("shape", PROBLEMS)


@shapes
@pytest.mark.parametrize("character", "@/?#[]\\ ")
def test_a_password_that_is_not_encoded_is_refused_without_a_part_of_it(
    shape: str, character: str
) -> None:
    """A client would take what follows for the host, and name that."""
    problem = PROBLEMS[shape](shape.format(f"perch{character}trout"))
    assert problem is not None
    assert "percent-encode" in problem
    assert "perch" not in problem
    assert "trout" not in problem


@shapes
@given(password=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_any_encoded_password_is_taken(shape: str, password: str) -> None:
    """As RFC 3986 wants it."""
    assert PROBLEMS[shape](shape.format(quote(password, safe=""))) is None


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("ssl_cert_reqs=maybe", "ssl_cert_reqs is required, optional or none"),
        ("ssl_ca_certs=/nowhere/ca.pem", "/nowhere/ca.pem cannot be read"),
        ("ssl_keyfile=/k.pem", "ssl_certfile, which is missing"),
        ("ssl_certfile=/nowhere/c.pem", "/nowhere/c.pem cannot be read"),
        ("swordfish=1", "1 of its parameters"),
        ("ssl_min_version=TLSv1_2", "ssl_min_version has an invalid value.* 771 is TLS 1.2"),
        ("socket_timeout=soon", "socket_timeout has an invalid value$"),
    ],
)
def test_parameters_that_cannot_be_used_are_told(query: str, words: str) -> None:
    """Before a client stumbles over them."""
    problem = broker_problem(f"rediss://redis.test/0?{query}")
    assert problem is not None
    assert re.search(words, problem)
    assert "swordfish" not in problem


def test_files_that_are_no_certificates_and_encrypted_keys_are_named(tmp_path: Path) -> None:
    """OpenSSL would ask the terminal for the password, and wait."""
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    encrypted = Authority(tmp_path).issue("sisgate", password="swordfish")
    for query, words in (
        (f"ssl_ca_certs={text}", "holds no certificates"),
        (f"ssl_certfile={text}", "are not a certificate and its key"),
        (f"ssl_certfile={encrypted}", "is encrypted"),
    ):
        assert words in str(broker_problem(f"rediss://redis.test/0?{query}"))
    right = f"rediss://redis.test/0?ssl_certfile={encrypted}&ssl_password=swordfish"
    assert broker_problem(right) is None


def test_files_for_tls_come_into_the_url_that_every_process_gets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment's before the file's; a file's path is relative to the configuration."""
    authority = Authority(tmp_path)
    authority.issue("sisgate")
    config = tmp_path / "sisgate.toml"
    config.write_text(
        'broker_url = "rediss://redis.test/0?ssl_cert_reqs=CERT_REQUIRED"\n'
        'broker_ca_file = "authority.pem"\nbroker_client_cert = "elsewhere.pem"\n'
    )
    monkeypatch.setenv("SISGATE_BROKER_CLIENT_CERT", str(tmp_path / "sisgate.pem"))
    url = load_settings(config, data_dir=tmp_path).broker_url
    assert isinstance(url, SecretStr)
    use_ssl = BrokerAddress.of(url.get_secret_value()).use_ssl
    assert use_ssl == {
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
        "ssl_ca_certs": str(authority.file),
        "ssl_certfile": str(tmp_path / "sisgate.pem"),
    }
    assert ssl.create_default_context(cafile=authority.file).cert_store_stats()["x509_ca"] > 0


def test_files_for_tls_need_a_url_with_tls(tmp_path: Path) -> None:
    """A plain URL would leave them aside without a word."""
    Authority(tmp_path)
    config = tmp_path / "sisgate.toml"
    config.write_text('broker_url = "redis://redis.test/0"\nbroker_ca_file = "authority.pem"\n')
    with pytest.raises(ConfigurationError, match=re.escape("write rediss://")):
        load_settings(config, data_dir=tmp_path)
