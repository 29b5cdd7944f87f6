"""A FastAPI app that sisgate tells what has happened.

Add its webhook, then run it with the secret that was printed:

    sisgate webhooks add https://app.example/sisgate --event job.ended --event dataset.changed
    WEBHOOK_SECRETS=whsec_... uvicorn webhook_consumer:app
"""

import os
from collections import OrderedDict
from typing import Any

from fastapi import BackgroundTasks, FastAPI, HTTPException, Request
from standardwebhooks import Webhook, WebhookVerificationError

app = FastAPI()

MOST_BYTES = 1_000_000
MOST_REMEMBERED = 100_000

handled: OrderedDict[str, dict[str, Any]] = OrderedDict()
"""Events by their ids. An app with a database keeps the ids there, with what it did about them."""


def verified(body: bytes, headers: dict[str, str]) -> dict[str, Any]:
    """Return the event of a delivery; 401 unless sisgate sent it within the last five minutes.

    While the secret is replaced, name both: `WEBHOOK_SECRETS="whsec_new whsec_old"`.
    """
    for secret in os.environ["WEBHOOK_SECRETS"].split():
        try:
            event: dict[str, Any] = Webhook(secret).verify(body, headers)
        except WebhookVerificationError:
            continue
        return event
    raise HTTPException(401, "The signature is not valid.")


@app.post("/sisgate", status_code=204)
async def receive(request: Request, later: BackgroundTasks) -> None:
    """Take an event and respond at once: what is not taken within ten seconds is sent again."""
    if int(request.headers.get("content-length", 0)) > MOST_BYTES:
        raise HTTPException(413, "An event is never so large.")
    event = verified(await request.body(), dict(request.headers))
    event_id = request.headers["webhook-id"]
    if event_id in handled:
        return  # sent again, because our answer was lost
    handled[event_id] = event
    while len(handled) > MOST_REMEMBERED:
        handled.popitem(last=False)
    later.add_task(handle, event)


def handle(event: dict[str, Any]) -> None:
    """Do what the event calls for: it has ids and counts, so read the data by its cursor."""
    data = event["data"]
    match event["type"]:
        case "job.ended":
            print(f"job {data['job']} is {data['state']}")
        case "dataset.changed":
            print(f"read changes of {data['provider']}/{data['resource']} up to {data['cursor']}")
        case "sync.held":
            print(f"somebody must look at job {data.get('job')}")
        case other:
            print(other, data)


@app.get("/events")
def events() -> list[dict[str, Any]]:
    """Return what was told, the oldest first."""
    return list(handled.values())
