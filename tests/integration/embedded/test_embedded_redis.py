"""The Redis that sisgate brings along: private, durable, one per data folder."""

import os
import re
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from sisgate.clock import SystemClock, poll_until
from sisgate.embedded import EmbeddedRedis
from sisgate.embedded.redis_conf import HOST, RedisConf, is_own_url
from sisgate.errors import BrokerUnavailable, ConfigurationError
from sisgate.gateway import Gateway
from sisgate.settings import load_settings


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data folder with the characters that redis.conf must quote."""
    return tmp_path / 'Lincoln "Unified" data'


@pytest.fixture
def embedded(data_dir: Path) -> Iterator[EmbeddedRedis]:
    """A running one."""
    with EmbeddedRedis(data_dir) as server:
        yield server


def ask(server: EmbeddedRedis, *command: str) -> object:
    """Run one Redis command."""
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        return client.execute_command(*command)


def test_restart_keeps_data_port_and_password(data_dir: Path) -> None:
    """What was written before `stop` is there after the next `start`, at the same URL."""
    with EmbeddedRedis(data_dir) as first:
        ask(first, "SET", "waiting", "12")
        url = first.url
    with EmbeddedRedis(data_dir) as second:
        assert ask(second, "GET", "waiting") == "12"
        assert second.url == url


def test_killed_server_keeps_data(data_dir: Path) -> None:
    """The append-only file is written at once and synced every second."""
    with EmbeddedRedis(data_dir) as first:
        ask(first, "SET", "waiting", "12")
        assert first.pid is not None
        os.kill(first.pid, signal.SIGKILL)
    with EmbeddedRedis(data_dir) as second:
        assert ask(second, "GET", "waiting") == "12"


def test_listens_on_loopback_with_a_password_and_never_evicts(embedded: EmbeddedRedis) -> None:
    """The settings that promises depend on."""
    with redis.Redis.from_url(embedded.url, decode_responses=True) as client:
        settings = client.config_get("*")
    assert settings["bind"] == HOST
    assert settings["maxmemory-policy"] == "noeviction"
    assert (settings["appendonly"], settings["appendfsync"]) == ("yes", "everysec")
    stranger_url = re.sub(":[^:]*@", ":guessed@", embedded.url)
    with redis.Redis.from_url(stranger_url) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


def test_password_is_in_one_private_file_only(embedded: EmbeddedRedis, data_dir: Path) -> None:
    """Not on the command line, not in the log, not in repr."""
    conf = RedisConf.load(data_dir / "redis")
    assert stat.S_IMODE(conf.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(conf.directory.stat().st_mode) == 0o700
    shown = [*embedded.command(), repr(embedded), repr(conf), embedded.log_path.read_text()]
    assert not [text for text in shown if conf.password in text]


def test_second_instance_is_refused(embedded: EmbeddedRedis, data_dir: Path) -> None:
    """Two Redis servers would write over each other's append-only file."""
    with pytest.raises(ConfigurationError, match="Another sisgate is running"):
        EmbeddedRedis(data_dir).start()
    assert ask(embedded, "PING") is True


def test_server_left_over_by_a_killed_supervisor_is_stopped(data_dir: Path) -> None:
    """The lock went with its owner; the server that still writes to the folder ends in order."""
    supervisor = EmbeddedRedis(data_dir)
    with subprocess.Popen(supervisor.command(), stdout=subprocess.DEVNULL) as left_over:
        supervisor.wait_ready()
        supervisor.stop()
        with EmbeddedRedis(data_dir) as again:
            assert left_over.wait(10) == 0
            assert ask(again, "PING") is True


def test_port_taken_by_a_stranger_is_replaced(data_dir: Path) -> None:
    """Data and password stay; clients read the new URL."""
    with EmbeddedRedis(data_dir) as first:
        ask(first, "SET", "waiting", "12")
    port = RedisConf.load(data_dir / "redis").port
    with socket.create_server((HOST, port)), EmbeddedRedis(data_dir) as second:
        assert RedisConf.load(data_dir / "redis").port != port
        assert ask(second, "GET", "waiting") == "12"


def test_port_taken_between_choosing_and_listening_is_replaced(data_dir: Path) -> None:
    """The server ends at once then, and is started again on another port."""
    server = EmbeddedRedis(data_dir)
    server.command()
    port = RedisConf.load(data_dir / "redis").port
    with socket.create_server((HOST, port)), server:
        assert ask(server, "PING") is True
        assert RedisConf.load(data_dir / "redis").port != port


def test_server_that_cannot_start_says_why(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error ends with the server's own words, and the folder is free again."""
    program = tmp_path / "redis-server"
    lines = ["#!/bin/sh", '[ "$1" != --version ] && echo no memory && exit 1']
    program.write_text("\n".join([*lines, "echo Redis server v=7.2.11"]))
    program.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        with pytest.raises(BrokerUnavailable, match="no memory"):
            EmbeddedRedis(data_dir).start()
    with EmbeddedRedis(data_dir) as another:
        assert ask(another, "PING") is True


def test_folder_that_cannot_be_made_is_a_configuration_error(tmp_path: Path) -> None:
    """A file stands where the data folder should be."""
    (tmp_path / "data").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        EmbeddedRedis(tmp_path / "data").start()


def test_stop_ends_the_server_and_may_be_repeated(data_dir: Path) -> None:
    """`stop` returns when the process is gone."""
    server = EmbeddedRedis(data_dir)
    server.start()
    url = server.url
    server.stop()
    server.stop()
    with redis.Redis.from_url(url) as client, pytest.raises(redis.ConnectionError):
        client.ping()


def test_supervised_server_is_awaited(data_dir: Path) -> None:
    """`wait_ready` does not mind who runs the command."""
    server = EmbeddedRedis(data_dir)
    with subprocess.Popen(server.command(), stdout=subprocess.DEVNULL) as supervised:
        server.wait_ready()
        assert ask(server, "PING") is True
        supervised.terminate()
    assert poll_until(
        lambda: supervised.poll() is not None, clock=SystemClock(), timeout_seconds=10
    )
    server.stop()


def test_its_url_is_known_by_the_password(tmp_path: Path) -> None:
    """Also that of a port which was replaced since; not another Redis of this machine."""
    assert not is_own_url(tmp_path, "redis://127.0.0.1:6379/0")
    (tmp_path / "redis").mkdir()
    conf = RedisConf.load(tmp_path / "redis")
    conf.write()
    assert is_own_url(tmp_path, conf.url)
    assert is_own_url(tmp_path, conf.with_new_port().url)
    assert not is_own_url(tmp_path, conf.url.replace(HOST, "redis.test"))
    assert not is_own_url(tmp_path, f"redis://:another@{HOST}:{conf.port}/0")


@pytest.mark.parametrize("part", ["head", "manifest", "missing"])
def test_a_damaged_append_only_file_is_put_aside(data_dir: Path, part: str) -> None:
    """The server begins empty instead of never again, and the file is kept."""
    with EmbeddedRedis(data_dir) as first:
        ask(first, "SET", "waiting", "12")
    folder = data_dir / "redis" / "appendonlydir"
    (increment,) = folder.glob("*.incr.aof")
    if part == "head":
        increment.write_bytes(b"damaged" + increment.read_bytes()[7:])
    elif part == "manifest":
        (folder / "appendonly.aof.manifest").write_text("damaged\n")
    else:
        increment.unlink()
    with EmbeddedRedis(data_dir) as second:
        assert ask(second, "GET", "waiting") is None
        ask(second, "SET", "waiting", "13")
    assert len(list((data_dir / "redis").glob("appendonlydir.damaged-*"))) == 1
    with EmbeddedRedis(data_dir) as third:
        assert ask(third, "GET", "waiting") == "13"


def test_a_file_that_ends_in_the_middle_of_a_command_is_read(data_dir: Path) -> None:
    """As a power cut leaves it: only the torn end is lost."""
    with EmbeddedRedis(data_dir) as first:
        ask(first, "SET", "waiting", "12")
        ask(first, "SET", "torn", "13")
    (increment,) = (data_dir / "redis" / "appendonlydir").glob("*.incr.aof")
    increment.write_bytes(increment.read_bytes()[:-3])
    with EmbeddedRedis(data_dir) as second:
        assert ask(second, "GET", "waiting") == "12"
    assert not list((data_dir / "redis").glob("*.damaged-*"))


def test_a_gateway_older_than_its_redis_finds_it_and_follows_it(tmp_path: Path) -> None:
    """An app may start before `sisgate up`, and outlive it: the next one may take another port."""
    gateway = Gateway(load_settings(data_dir=tmp_path))
    client = gateway.context.redis
    with pytest.raises(BrokerUnavailable):
        client.ping()
    with EmbeddedRedis(tmp_path):
        assert client.ping()
        before = RedisConf.load(tmp_path / "redis")
    replace(before, password="x" * 32).with_new_port().write()
    with EmbeddedRedis(tmp_path):
        assert client.ping()
        assert RedisConf.load(tmp_path / "redis").url != before.url
    gateway.close()
