"""Webhooks by HTTP: made, changed, read and removed by the app that owns them."""

from sisgate import Gateway
from sisgate.domain.states import JobState
from sisgate.ledger import jobs
from sisgate.webhooks.news import hand_out
from testbed.web_service import WebService
from tests.integration.web.conftest import MakeToken

AT = "/v1/webhooks"


def test_an_app_keeps_a_webhook_and_reads_its_events(
    service: WebService, gateway: Gateway, make_token: MakeToken
) -> None:
    """The secret is in the answer that creates it, and in no other."""
    token = make_token("gradebook", "app")
    order = {"events": ["job.ended"], "note": "polled"}
    made = service.ask("POST", AT, token=token, json=order)
    assert made.status_code == 201
    hook = made.json()
    assert hook["secret"].startswith("whsec_")
    at = f"{AT}/{hook['id']}"
    changed = service.ask("PATCH", at, token=token, json={"events": ["job.ended", "sync.held"]})
    assert changed.status_code == 200
    assert changed.json() == {
        **hook, "secret": None, "events": ["job.ended", "sync.held"],
        "changed_at": changed.json()["changed_at"],
    }  # fmt: skip
    renewed = service.ask("POST", f"{at}/secret", token=token, json={"overlap_hours": 1}).json()
    assert renewed["secret"] not in {None, hook["secret"]}
    job_id = gateway.sync("open", "students", app="gradebook").id
    with gateway.context.database.write() as session:
        jobs.cancel(session, job_id, gateway.context.clock.now())
    hand_out(gateway.context.database, gateway.context.clock)
    read = service.ask("GET", f"{at}/events?after=0&limit=10", token=token).json()
    (event,) = read["events"]
    assert (read["cursor"], read["more"], event["number"]) == (1, False, 1)
    assert (event["data"]["job"], event["data"]["state"]) == (job_id, JobState.CANCELLED)
    listed = service.ask("GET", AT, token=token).json()["webhooks"]
    assert [each["id"] for each in listed] == [hook["id"]]
    deliveries = service.ask("GET", f"{at}/deliveries", token=token).json()["deliveries"]
    assert [each["state"] for each in deliveries] == ["kept"]
    assert service.ask("GET", f"{at}/deliveries/1", token=token).json()["tries"] == []
    ahead = service.ask("GET", f"{at}/events?after=9", token=token)
    assert (ahead.status_code, ahead.json()["code"]) == (409, "cursor_ahead")
    unsent = service.ask("POST", f"{at}/redeliver", token=token, json={"number": 1})
    assert (unsent.status_code, unsent.json()["code"]) == (409, "invalid_state")
    other = make_token("portal", "app")
    assert service.ask("GET", at, token=other).json()["code"] == "unknown_webhook"
    assert service.ask("DELETE", at, token=other).status_code == 404
    assert service.ask("DELETE", at, token=token).status_code == 204
    assert service.ask("GET", at, token=token).status_code == 404


def test_an_order_that_cannot_be_is_refused(service: WebService, make_token: MakeToken) -> None:
    """Inner addresses, unknown events and members."""
    token = make_token("gradebook", "app")
    for order, code in (
        ({"events": ["job.ended"], "url": "https://169.254.169.254/latest"}, "usage"),
        ({"events": ["job.ended"], "url": "http://app.example/"}, "usage"),
        ({"events": ["job.ended"], "every_app": True}, "access_denied"),
        ({"events": ["job.ended"], "app": "portal"}, "access_denied"),
        ({"events": []}, "usage"),
        ({"events": ["webhook.test"]}, "usage"),
        ({"events": ["job.ended"], "secret": "mine"}, "usage"),
    ):
        refused = service.ask("POST", AT, token=token, json=order)
        assert (refused.status_code in {403, 422}, refused.json()["code"]) == (True, code), order
