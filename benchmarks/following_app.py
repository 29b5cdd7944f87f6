"""An app with a gateway: `python -m benchmarks.following_app` says when it has which version.

One line for each version: its number, and the monotonic time of the machine.
"""

import time

from sisgate.gateway import Gateway

LOOK_SECONDS = 0.01
"""How often the app asks its gateway, as one that serves requests would."""


def main() -> None:
    """Look until the process is ended."""
    gateway = Gateway.from_env(app="follows")
    known = -1
    while True:
        version = gateway.configuration.current().version
        if version != known:
            known = version
            print(version, time.monotonic(), flush=True)
        time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    main()
