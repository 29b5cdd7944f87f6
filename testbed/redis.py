"""A real Redis for the tests, without persistence, on a private port of the loopback interface."""

import contextlib

import redis
from sisgate.embedded.redis_binary import find_redis_server
from sisgate.embedded.redis_conf import HOST, free_port
from testbed.process import LeashedServer, ServerDidNotStart, server_folder

START_ATTEMPTS = 3


class RedisServer:
    """A running Redis; `stop` ends it. It also ends with the process that made it."""

    def __init__(self) -> None:
        for attempt in range(1, START_ATTEMPTS + 1):
            try:
                self._start()
                return
            except ServerDidNotStart as error:
                # Another process may have taken the port between choosing and listening.
                if attempt == START_ATTEMPTS or "in use" not in str(error):
                    raise

    def _start(self) -> None:
        port = free_port()
        self.url = f"redis://{HOST}:{port}/0"
        command = [str(find_redis_server()), "--bind", HOST, "--port", str(port)]
        self._server = LeashedServer([*command, "--save", ""], folder=server_folder())
        self._client = redis.Redis.from_url(self.url, socket_timeout=10.0)
        self._server.wait_ready(self._answers)

    def _answers(self) -> bool:
        with contextlib.suppress(redis.RedisError):
            return bool(self._client.ping())
        return False

    def wipe(self) -> None:
        """Forget everything: keys of all databases, scripts, statistics."""
        self._client.flushall()
        self._client.script_flush()
        self._client.config_resetstat()

    def stop(self) -> None:
        self._client.close()
        self._server.stop()
