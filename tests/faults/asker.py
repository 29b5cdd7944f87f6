"""An app that asks for work: `python -m tests.faults.asker BOOK`, orders on standard input.

What the gateway has said to be accepted is a line in the file BOOK, written after the gateway
returned. It is the list that the oracle holds against the ledger, so nothing of the product writes
it. The app may be killed at any point; an order that was not noted was not accepted, or nobody
was told.
"""

import json
import sys
from pathlib import Path
from typing import Any

import tests.faults.points  # noqa: F401  # loads the crash points
from sisgate import Gateway
from sisgate.errors import SisgateError


def main(book: Path) -> None:
    """Carry out orders until standard input ends."""
    gateway = Gateway.from_env(app="faults")
    with book.open("a", encoding="utf-8") as file:
        for line in sys.stdin:
            order = json.loads(line)
            try:
                order["job"] = _ask(gateway, order)
            except SisgateError as error:
                order["refused"] = error.code
            file.write(f"{json.dumps(order)}\n")
            file.flush()


def _ask(gateway: Gateway, order: dict[str, Any]) -> str:
    provider = order["provider"]
    if order["do"] == "sync":
        return gateway.sync(provider, "orgs", mode="full", priority=order["priority"]).id
    body = {"path": order["path"]} if order["do"] == "POST" else None
    path, priority = order["path"], order["priority"]
    # The key tells which job is for which path: the request itself is sealed in the ledger.
    job = gateway.enqueue_request(
        provider, order["do"], path, json=body, priority=priority, idempotency_key=path
    )
    return job.id


if __name__ == "__main__":
    main(Path(sys.argv[1]))
