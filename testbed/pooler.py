"""What stands between a ledger and PostgreSQL: like PgBouncer, it shows a process id of its own."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self

from testbed.proxy import pump

KEY = b"K\x00\x00\x00\x0c"
"""How the message with the process id begins, BackendKeyData of the protocol 3.0."""


class Pooler:
    """Passes connections on to the server whose socket is in a folder."""

    def __init__(self, folder: str) -> None:
        self._server = f"{folder}/.s.PGSQL.5432"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._listen, daemon=True)]
        self._threads[0].start()
        self.query = f"host=127.0.0.1&port={self._listener.getsockname()[1]}&sslmode=disable"
        """The part of a URL that leads here."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(self._server)
            back = threading.Thread(target=self._answer, args=(server, client), daemon=True)
            back.start()
            pump(client, server)
            back.join()

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            greeting = b""
            while KEY not in greeting:
                content = server.recv(65536)
                if not content:
                    break
                greeting += content
            before, key, after = greeting.partition(KEY)
            client.sendall(before + key + b"\x7f\xff\xff\xff" + after[4:])
        pump(server, client)
