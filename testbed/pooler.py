"""What stands between a ledger and PostgreSQL: like PgBouncer, it shows a process id of its own."""

import contextlib
import socket
import threading

from testbed.relay import Relay, pump

KEY = b"K\x00\x00\x00\x0c"
"""How the message with the process id begins, BackendKeyData of the protocol 3.0."""


class Pooler(Relay):
    """Passes connections on to the server whose socket is in a folder."""

    def __init__(self, folder: str) -> None:
        self._server = f"{folder}/.s.PGSQL.5432"
        super().__init__()
        self.query = f"host=127.0.0.1&port={self.port}&sslmode=disable"
        """The part of a URL that leads here."""

    def serve(self, client: socket.socket) -> None:
        """Pass a connection on, with another process id in the server's greeting."""
        with socket.socket(socket.AF_UNIX) as server:
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
