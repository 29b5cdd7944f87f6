"""A forward proxy on the loopback interface that speaks CONNECT and nothing else."""

import base64
import socket

from testbed.relay import Relay, exchange


class ConnectProxy(Relay):
    """Tunnels to any host on this machine. `asked` are the targets that it was asked for."""

    def __init__(self, *, user: str | None = None, answer: int = 200) -> None:
        self.asked: list[str] = []
        self._wanted = base64.b64encode(user.encode()).decode() if user else None
        self._answer = answer
        super().__init__()
        self.place = f"127.0.0.1:{self.port}"

    def refuse(self, status: int) -> None:
        """Connect nobody from now on, and cut the tunnels there are."""
        self._answer = status

    def serve(self, client: socket.socket) -> None:
        """Answer one CONNECT, and tunnel if the answer is 200."""
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
        host, _, port = target.rpartition(":")
        place = (host if host.startswith("127.") else "127.0.0.1", int(port))
        with socket.create_connection(place) as server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            exchange(client, server)
