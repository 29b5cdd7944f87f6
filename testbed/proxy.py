"""A forward proxy on the loopback interface that speaks CONNECT and nothing else."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from typing import Self


class ConnectProxy:
    """Tunnels to any host on this machine. `asked` are the targets that it was asked for."""

    def __init__(self, *, user: str | None = None, answer: int = 200) -> None:
        self.asked: list[str] = []
        self._wanted = base64.b64encode(user.encode()).decode() if user else None
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._listen, daemon=True)]
        self._threads[0].start()
        self.place = f"127.0.0.1:{self._listener.getsockname()[1]}"

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
        with contextlib.suppress(OSError), client:
            client.settimeout(10)
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(1)
            first, *fields = head.decode("latin-1").split("\r\n")
            target = first.split(" ")[1]
            self.asked.append(target)
            shown = [f.partition(": ")[2] for f in fields if f.lower().startswith("proxy-auth")]
            if self._wanted is not None and shown != [f"Basic {self._wanted}"]:
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
                return
            if self._answer != 200:
                client.sendall(f"HTTP/1.1 {self._answer} No\r\n\r\n".encode())
                return
            port = int(target.rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port)) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
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
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
