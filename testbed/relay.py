"""A server on the loopback interface whose clients each get a thread, and that passes bytes on."""

import contextlib
import socket
import threading
from typing import Self


class Relay:
    """Serves every client that connects until it is closed. What is done with one is `serve`."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._listen, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        cut(self._listener)
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                thread = threading.Thread(target=self._one, args=(client,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _one(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            self.serve(client)

    def serve(self, client: socket.socket) -> None:
        """Serve one client, whose connection is closed afterwards."""
        raise NotImplementedError


def exchange(client: socket.socket, server: socket.socket) -> None:
    """Pass on what comes from either side to the other, until one ends."""
    back = threading.Thread(target=pump, args=(server, client), daemon=True)
    back.start()
    pump(client, server)
    back.join()


def pump(source: socket.socket, target: socket.socket) -> None:
    """Pass on what comes until it ends, then end both."""
    with contextlib.suppress(OSError):
        while content := source.recv(65536):
            target.sendall(content)
    for each in (source, target):
        cut(each)


def cut(each: socket.socket) -> None:
    """End a connection in both directions, even if another thread is reading."""
    # The descriptor's, not TLS's.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(each, socket.SHUT_RDWR)
