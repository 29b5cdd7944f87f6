"""A TCP proxy between the fleet and what it needs: it delays, holds, cuts and resets."""

import asyncio
import socket
import struct

from tests.faults.loop import LoopThread

CHUNK = 65_536


class Proxy:
    """Passes bytes from a port of its own to a server. Every method holds for all connections."""

    def __init__(self, thread: LoopThread, host: str, port: int) -> None:
        self._thread = thread
        self._target = (host, port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._delay_seconds = 0.0
        self._refuses = False
        self._passes = asyncio.Event()
        self._passes.set()
        self._server = thread.run(asyncio.start_server(self._connected, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def delay(self, seconds: float) -> None:
        """Hold each piece of data for so long, in both directions."""
        self._delay_seconds = seconds

    def hold(self) -> None:
        """Let nothing through: connections stand and nobody answers."""
        self._thread.call(self._passes.clear)

    def refuse(self) -> None:
        """Reset what stands and whoever comes."""
        self._refuses = True
        self.reset()

    def reset(self) -> None:
        """End all connections by RST, with what was under way in them."""
        self._thread.call(self._reset)

    def cut(self) -> None:
        """End all connections by FIN, in the middle of what they carry."""
        self._thread.call(self._cut)

    def heal(self) -> None:
        """Pass everything again, at once."""
        self._delay_seconds = 0.0
        self._refuses = False
        self._thread.call(self._passes.set)

    def stop(self) -> None:
        """Close the port and all connections."""
        self._server.close()
        self.refuse()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            _abort(writer)
            return
        try:
            there, onward = await asyncio.open_connection(*self._target)
        except OSError:
            _abort(writer)
            return
        pumps = [
            asyncio.create_task(self._pump(reader, onward)),
            asyncio.create_task(self._pump(there, writer)),
        ]
        ends = {writer, onward}
        self._writers |= ends
        self._tasks |= set(pumps)
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        self._writers -= ends
        self._tasks -= set(pumps)
        for end in ends:
            end.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(CHUNK):
                if self._delay_seconds:
                    await asyncio.sleep(self._delay_seconds)  # noqa: TID251  # it is a delay
                await self._passes.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            return

    def _reset(self) -> None:
        for writer in self._writers:
            _abort(writer)

    def _cut(self) -> None:
        for pump in self._tasks:
            pump.cancel()


def _abort(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
