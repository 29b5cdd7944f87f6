"""The harness itself: points kill, proxies cut, servers come back with what they had."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from testbed.mortal import DATABASE, MortalPostgres, MortalRedis
from testbed.postgres import OWNER
from tests.faults.book import Book
from tests.faults.figures import Figures
from tests.faults.loop import LoopThread
from tests.faults.points import FOLDER_VARIABLE, PointsFolder
from tests.faults.provider import Provider
from tests.faults.proxy import Proxy
from tests.faults.soak import BEGIN, END, write_page

COMMITS = """
import tests.faults.points
from sqlalchemy import text
from sisgate.ledger.database import Database

database = Database("sqlite://")

def write():
    with database.write() as session:
        session.execute(text("SELECT 1"))

write.__globals__["__name__"] = "tests.faults.here"
for _ in range(2):
    write()
"""


@pytest.fixture
def network() -> Iterator[LoopThread]:
    """The loop of provider and proxies."""
    thread = LoopThread()
    yield thread
    thread.stop()


def commits(points: PointsFolder) -> int:
    """Run a program that commits twice, and return its exit status."""
    environment = os.environ | {FOLDER_VARIABLE: str(points.folder)}
    return subprocess.run([sys.executable, "-c", COMMITS], env=environment, check=False).returncode


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_armed_point_kills_one_process_once(when: str, tmp_path: Path) -> None:
    """SIGKILL, as nobody can hold it up."""
    points = PointsFolder(tmp_path / "points")
    assert commits(points) == 0
    point = f"{when} commit tests.faults.here.write"
    assert point in points.seen
    points.arm(point)
    assert commits(points) == -signal.SIGKILL
    assert points.taken == [point]
    assert commits(points) == 0


def connection(port: int) -> socket.socket:
    """Return a connection that waits two seconds at most."""
    return socket.create_connection(("127.0.0.1", port), timeout=2)


def ask(made: socket.socket) -> bytes:
    """Ask a provider for something."""
    made.sendall(b"GET /alpha/x HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
    return made.recv(1000)


def test_a_proxy_passes_holds_cuts_resets_and_heals(network: LoopThread) -> None:
    """Each as a network would."""
    provider = Provider(network, seed=1, most_latency_seconds=0.0)
    proxy = Proxy(network, "127.0.0.1", provider.port)
    with connection(proxy.port) as made:
        assert ask(made).startswith(b"HTTP/1.1 200")
        proxy.cut()
        assert made.recv(1) == b""
    with connection(proxy.port) as made:
        assert ask(made).startswith(b"HTTP/1.1 200")
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            made.recv(1)
    with connection(proxy.port) as made:
        proxy.hold()
        made.settimeout(0.2)
        with pytest.raises(TimeoutError):
            ask(made)
        made.settimeout(2)
        proxy.heal()
        assert made.recv(1000).startswith(b"HTTP/1.1 200")
    proxy.refuse()
    with pytest.raises(OSError, match=r"reset|refused"), connection(proxy.port) as made:
        ask(made)
    proxy.stop()
    provider.stop()


def test_redis_comes_back_with_what_it_had() -> None:
    """After a SIGKILL, from its append-only file."""
    server = MortalRedis()
    server.client.set("key", "value")
    server.kill()
    server.start()
    assert server.client.get("key") == b"value"
    server.stop()


@pytest.mark.parametrize("how", ["kill", "shut_down_at_once"])
def test_postgresql_comes_back_with_what_it_had(how: str) -> None:
    """After a SIGKILL of all its processes, and after an immediate shutdown."""
    server = MortalPostgres()
    where = f"host=127.0.0.1 port={server.port} user={OWNER} dbname={DATABASE}"
    with psycopg.connect(where) as made:
        made.execute("CREATE TABLE kept AS SELECT 42 AS number")
    getattr(server, how)()
    server.start()
    with psycopg.connect(where) as made:
        assert made.execute("SELECT number FROM kept").fetchone() == (42,)
    server.stop()


def test_a_line_that_was_cut_is_not_accepted_work(tmp_path: Path) -> None:
    """The app died while it wrote it."""
    book = Book(tmp_path / "book")
    book.file.write_text('{"do": "GET", "provider": "a", "path": "/1", "job": "j"}\n{"do": "G')
    assert [each.job for each in book.accepted] == ["j"]


def test_the_page_keeps_the_figures_of_the_last_soak(tmp_path: Path) -> None:
    """Between its marks; what stands around them stays."""
    page = tmp_path / "page.md"
    page.write_text(f"above\n{BEGIN}\nold\n{END}\nbelow\n")
    write_page(page, Figures(), "KILLS=1")
    text = page.read_text()
    assert text.startswith("above\n")
    assert text.endswith("\nbelow\n")
    assert "`make soak KILLS=1`" in text
    assert "old" not in text
