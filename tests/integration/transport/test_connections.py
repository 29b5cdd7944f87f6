"""What is kept between the requests to a provider: the connection, and nothing else."""

import threading

from sisgate.bounded_http import BoundedSession
from sisgate.clock import SystemClock
from sisgate.providers.http import HttpRequest
from sisgate.transport import Transport
from testbed.http_server import Asked, HttpServer, Reply, json_reply

CALLS = 20


def answer(_: Asked) -> Reply:
    """An answer that asks to be recognised."""
    return json_reply({}, Set_Cookie="who=ana")


def test_requests_share_a_connection_and_one_thread_bounds_them_all() -> None:
    """A thread for each request would cost more than the request."""
    with HttpServer(answer) as server:
        transport = Transport(SystemClock())
        threads: set[str] = set()
        for number in range(CALLS):
            transport.send(
                server.url, HttpRequest(f"/{number}"), None, timeout_seconds=5, max_body_bytes=100
            )
            threads |= {thread.name for thread in threading.enumerate()}
        transport.close()
    assert [name for name in threads if "watchdog" in name] == ["sisgate-watchdog"]
    assert not any(name.startswith("Thread") and "Timer" in name for name in threads)
    assert len(server.asked) == CALLS


def test_no_cookie_of_an_answer_is_sent_with_the_next_request() -> None:
    """Requests of different apps share the connection, and nothing that tells them apart."""
    with HttpServer(answer) as server:
        transport = Transport(SystemClock())
        for _ in range(2):
            transport.send(
                server.url, HttpRequest("/"), None, timeout_seconds=5, max_body_bytes=100
            )
        transport.close()
    assert [asked.headers.get("cookie") for asked in server.asked] == [None, None]


def test_only_the_connections_to_the_last_origins_are_kept_open() -> None:
    """A fleet has more providers than a process may have open files."""
    serving: list[threading.Thread] = []

    def answer_by(_: Asked) -> Reply:
        serving.append(threading.current_thread())
        return json_reply({})

    with HttpServer(answer_by) as one, HttpServer(answer_by) as two, HttpServer(answer_by) as three:
        session = BoundedSession(connections=1)
        for server in (one, two, three, one, one):
            response = session.send_once("GET", f"{server.url}/", headers={}, timeout=(5, 5))
            assert response.json() == {}
        first, second, _, again, last = serving
        for thread in (first, second):
            thread.join(10)
            assert not thread.is_alive()
        assert again is last
        session.close()


def test_a_header_that_comes_several_times_is_kept_whole() -> None:
    """A server may send each link to another page in a line of its own."""
    first, last = '</a?offset=2>; rel="next"', '</a?offset=8>; rel="last"'
    with HttpServer(lambda _: json_reply({}, Link=first, link=last)) as server:
        transport = Transport(SystemClock())
        response = transport.send(
            server.url, HttpRequest("/a"), None, timeout_seconds=5, max_body_bytes=100
        )
        transport.close()
    assert response.headers["link"] == f"{first}, {last}"
