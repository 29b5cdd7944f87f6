"""Troubles that calls do not show by failing, and answers that are not what was asked for."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sisgate.admission.state import LimiterState, WindowState
from sisgate.domain.priorities import Priority
from sisgate.domain.rates import Rate
from sisgate.domain.states import JobState
from sisgate.verdict.facts import (
    AppBacklog,
    DatasetFacts,
    FleetFacts,
    JobFacts,
    KeyStanding,
    MetError,
    ProviderFacts,
    RecentCall,
    TimedCall,
    Timing,
)
from sisgate.verdict.finding import Certainty, Finding, Severity, Verdict
from sisgate.verdict.judgement import judge_dataset, judge_fleet, judge_provider
from sisgate.verdict.neglect import FREE_BYTES
from sisgate.verdict.unattended import (
    FailedSync,
    FailingReceiver,
    FeedReader,
    RefusedCaller,
    Unsettled,
)

NOW = datetime(2026, 9, 1, 8, tzinfo=UTC)
FLEET = FleetFacts(NOW)
DAY = 86_400.0


def culprit_of(verdict: Verdict) -> Finding:
    """Return what is blamed."""
    assert verdict.culprit is not None, verdict.summary
    return verdict.culprit


def called(*calls: tuple[str, int | None]) -> list[RecentCall]:
    """Return calls of apps with their statuses, newest first."""
    return [
        RecentCall(app, status, float(age), "GET") for age, (app, status) in enumerate(calls, 1)
    ]


def judged(**facts: object) -> Verdict:
    """Return the verdict on a provider."""
    return judge_provider(ProviderFacts("clark", **facts), FLEET)  # type: ignore[arg-type]  # as named


@pytest.mark.parametrize(("status", "how"), [(404, "refuses"), (302, "redirects")])
def test_what_no_app_finds_any_more_has_moved(status: int, how: str) -> None:
    """It is no mistake of the apps; of one app alone, or with good answers between, it is."""
    apps = [("lms", status), ("portal", status)]
    found = culprit_of(judged(recent=called(*apps * 3, ("lms", 200))))
    assert (found.cause, str(found.party)) == ("provider_moved", "provider clark")
    assert f"clark {how} every call of every app" in found.message
    few = judged(recent=called(*apps * 2, ("lms", 200)))
    assert few.is_unclear
    alone = judged(recent=called(*[("lms", status)] * 6, ("portal", 200)))
    between = judged(recent=called(("portal", 200), *apps * 3))
    for verdict in (alone, between):
        assert all(each.cause != "provider_moved" for each in verdict.findings)


def test_a_key_is_not_blamed_for_tokens_that_are_refused_when_new() -> None:
    """It was accepted for them."""
    refused = called(*[("lms", 401)] * 8)
    key = KeyStanding("3f8a1c2d", "primary", suspect_seconds=20.0)
    errors = [MetError("provider_refused", "No.", 401, 1.0, fresh_token=True)] * 4
    found = culprit_of(judged(recent=refused, keys=[key], met=errors))
    assert (found.cause, found.party.kind) == ("tokens_fail", "provider")
    other = [replace(each, fresh_token=False) for each in errors]
    assert culprit_of(judged(recent=refused, keys=[key], met=other)).cause == "key_refused"


def test_what_a_key_did_before_it_was_refused_does_not_count() -> None:
    """No call works any more; and the commands are those of its slot."""
    key = KeyStanding("3f8a1c2d", "secondary", suspect_seconds=20.0)
    good = [replace(each, seconds_ago=60.0) for each in called(*[("lms", 200)] * 9)]
    errors = [MetError("token_refused", "No.", 401, float(age)) for age in range(1, 5)]
    found = culprit_of(judged(recent=good, keys=[key], met=errors))
    assert (found.severity, found.certainty) == (Severity.STOPS, Certainty.CERTAIN)
    assert found.message.endswith("no token to 4 of the last 4 calls")
    stage, rotate = (
        f"`sisgate keys {what} clark --slot secondary`" for what in ("stage", "rotate")
    )
    assert f"{stage}, then {rotate}" in found.remedy
    between = [*good, replace(good[0], seconds_ago=0.5)]
    assert culprit_of(judged(recent=between, keys=[key], met=errors)).severity is Severity.HARMS


def test_syncs_that_failed_for_want_of_a_key_are_no_fault_of_the_provider() -> None:
    """And say so; a refusal of the dataset is."""
    failed = [
        FailedSync("1", "classes", "token_refused", 401), FailedSync("2", "orgs", "credentials")
    ]  # fmt: skip
    found = culprit_of(judged(failed_syncs=failed))
    assert str(found.party) == "key"
    assert found.message == (
        "classes and orgs of clark cannot be read: its key was refused and there was no key that "
        "could be used"
    )
    denied = [*failed, FailedSync("3", "users", "provider_refused", 403)]
    assert str(culprit_of(judged(failed_syncs=denied)).party) == "provider clark"


def test_an_app_that_has_corrected_its_requests_is_not_told_of_any_more() -> None:
    """Good answers in a row end it, unless they come between refused ones as ever."""
    refused, good = [("lms", 404)] * 12, [("lms", 200)] * 5
    found = culprit_of(judged(recent=called(*refused, *good)))
    assert (found.cause, str(found.party)) == ("requests_refused", "app lms")
    assert judged(recent=called(*good, *refused)).standing == "well"
    mixed = called(*good[:1], *[("lms", 404), ("lms", 404), ("lms", 200)] * 4)
    assert culprit_of(judged(recent=mixed)).cause == "requests_refused"


def test_an_app_that_takes_what_the_pace_allows_is_named() -> None:
    """Others wait behind its more urgent calls; while they are few, nobody is blamed."""
    limiter = LimiterState(
        "clark", True, (WindowState(Rate(500, 3600.0), 200),), 0.0, 50, 0, 1.0, 0.0, "", None,
        overridden=False,
        next_permit_in_seconds=dict.fromkeys(Priority, 7.0),
        waiting_for=dict.fromkeys(Priority, "bucket"),
    )  # fmt: skip
    normal, urgent = int(Priority.NORMAL), int(Priority.URGENT)
    waiting = AppBacklog("reports", {normal: 3}, 610.0, queued={normal: 610.0})
    own = AppBacklog("lms", {urgent: 1}, 3.0, queued={urgent: 3.0})
    calls = called(*[("lms", 200)] * 30, ("reports", 200))
    facts: dict[str, object] = {"limiter": limiter, "backlog": [waiting, own]}
    found = culprit_of(judged(recent=calls, **facts))
    assert (found.cause, str(found.party)) == ("app_flood", "app lms")
    assert found.message == (
        "3 calls of others wait for clark, the oldest for 10 min 10 s: lms took 30 of the 31 that "
        "the pace of its limit has allowed meanwhile"
    )
    assert 'highest_priority = "normal" under [apps.lms]' in found.remedy
    few = culprit_of(judged(recent=calls[25:], **facts))
    assert (few.cause, few.party.kind) == ("pace_bound", "nobody")


def test_the_last_failure_is_one_of_a_call() -> None:
    """Not that of a job which expired for want of one."""
    met = [
        MetError("job_expired", "clark could not be called in time.", seconds_ago=1.0),
        MetError("provider_unavailable", "It answered 503.", 503, 2.0),
    ]
    found = culprit_of(judged(recent=called(*[("lms", 503)] * 6), met=met))
    assert (found.cause, found.evidence["last_failure"]) == ("provider_down", "It answered 503.")


def test_an_answer_that_broke_off_was_one() -> None:
    """Neither our network nor the way there is in doubt, though nobody else was called."""
    cut = [MetError("provider_unavailable", "It broke off.", broke_off=True)] * 4
    silent = called(*[("lms", None)] * 4)
    found = culprit_of(judged(recent=silent, met=cut))
    assert (found.cause, found.party.kind) == ("provider_down", "provider")
    assert "answers broke off" in found.message
    assert judged(recent=silent, met=[replace(each, broke_off=False) for each in cut]).is_unclear


def test_good_answers_to_others_say_nothing_about_a_dataset() -> None:
    """Its sync failed minutes ago, and requests are answered as ever; and what came is told."""
    calls = [replace(each, part="GET") for each in called(*[("lms", 200)] * 8)]
    page = RecentCall("portal", 200, 120.0, "orgs")
    message = "The provider answered 200 with a body that is not JSON (text/html, 92 bytes)."
    error = MetError("answer_invalid", message, 200, 119.0, "3f8a1c2d", resource="orgs")
    found = culprit_of(judged(recent=[*calls, page], met=[error]))
    assert found.cause == "answers_invalid"
    assert found.message.endswith("to 1 job: HTML pages in place of JSON")
    later = RecentCall("portal", 200, 20.0, "orgs")
    good = [*calls, *[later] * 3, replace(page, status=None)]
    assert judged(recent=good, met=[error]).standing == "well"


def test_a_slow_tail_is_told_until_it_is_over() -> None:
    """One of eight among quick ones; a tail that is usual is none."""
    quick, slow = TimedCall(0.2), TimedCall(20.0)
    tail, usual = [quick] * 3 + [slow, *[quick] * 7] * 4, [quick] * 40
    found = culprit_of(judged(recent=called(("lms", 200)), timing=Timing(tail, usual)))
    assert found.message == (
        "clark is slow now and then: 4 of the last 35 calls took about 20 s, while half take 0.2 s"
    )
    for timing in (Timing(tail, tail), Timing([quick] * 20 + [slow] * 12, usual)):
        assert judged(recent=called(("lms", 200)), timing=timing).standing == "well"


def test_what_waits_for_somebody_is_told_of_the_fleet() -> None:
    """Messages, receivers, callers; and of a provider what is its own."""
    fleet = FleetFacts(
        NOW,
        providers=[ProviderFacts("clark", unsettled=Unsettled(2, "3f8a1c2d", 2 * DAY))],
        quarantined={"clark": 1, "adams": 2},
        receivers=[FailingReceiver("wh-1", "lms", "lms.test", "active", "it answered 500", DAY)],
        refused_callers=[RefusedCaller("portal", 40, "10/m"), RefusedCaller("lms", 2, "10/m")],
        free_bytes=200 << 20,
    )
    told = {str(each.cause): str(each.party) for each in judge_fleet(fleet).findings}
    assert told == {
        "messages_quarantined": "nobody", "webhook_fails": "app lms",
        "inbound_refused": "app portal", "outcome_unknown": "provider clark", "disk_low": "fleet",
    }  # fmt: skip
    roomy = judge_fleet(replace(fleet, free_bytes=FREE_BYTES))
    assert all(each.cause != "disk_low" for each in roomy.findings)
    own = {str(each.cause) for each in judge_provider(fleet.providers[0], fleet).findings}
    assert own == {"messages_quarantined", "outcome_unknown"}


def test_a_host_of_several_providers_that_fails_is_told_once() -> None:
    """First of all; not while one of them is answered there."""
    down = ProviderFacts("clark", host="sis.test", recent=called(*[("lms", 503)] * 6))
    fleet = FleetFacts(NOW, providers=[down, replace(down, name="adams"), ProviderFacts("idle")])
    found = culprit_of(judge_fleet(fleet))
    assert (found.cause, str(found.party)) == ("host_down", "provider sis.test")
    assert found.message == "sis.test, the host of clark and adams, fails for all of them"
    fine = replace(down, name="lincoln", recent=called(*[("lms", 200)] * 6))
    some = judge_fleet(replace(fleet, providers=[*fleet.providers, fine]))
    assert all(each.cause != "host_down" for each in some.findings)


def dataset(**facts: object) -> Verdict:
    """Return the verdict on a dataset that was read two days ago."""
    facts = {"age_seconds": 2 * DAY, **facts}
    return judge_dataset(
        DatasetFacts("clark", "orgs", **facts),  # type: ignore[arg-type]  # as named
        ProviderFacts("clark"),
        FLEET,
    )


@pytest.mark.parametrize(
    ("error", "cause", "words"),
    [
        ({"code": "provider_refused", "status": 302}, "provider_moved", "302, a redirect"),
        (
            {"code": "answer_invalid", "message": "a body that is not JSON (text/html, 89 bytes)"},
            "answers_invalid", "an HTML page came in place of data",
        ),
    ],
)  # fmt: skip
def test_a_log_in_in_place_of_a_list_is_called_so(
    error: dict[str, object], cause: str, words: str
) -> None:
    """By the verdict on the dataset, whatever else is known of the provider."""
    last = JobFacts("7", "clark", "orgs", "portal", 6, JobState.FAILED, 60.0, error)
    culprit = culprit_of(dataset(last=last))
    assert (culprit.cause, str(culprit.party)) == (cause, "provider clark")
    assert words in culprit.message


def test_old_data_says_why_it_is_not_read() -> None:
    """The objective, the schedule that was taken away; without either nobody knows what is due."""
    assert dataset().standing == "well"
    assert dataset(fresh_seconds=3 * DAY, schedules=["nightly"]).standing == "well"
    late = dataset(fresh_seconds=DAY, schedules=["yearly"], next_read_seconds=90 * DAY)
    assert culprit_of(late).message == (
        "orgs is 2 d old, and its objective allows 24 h: schedule yearly reads it next in 90 d"
    )
    gone = culprit_of(dataset(former_schedule="nightly"))
    assert gone.cause == "dataset_unscheduled"
    assert "by schedule nightly, which reads it no more" in gone.message
    assert dataset(missed_seconds=3600.0, schedules=["hourly"]).is_unclear


def test_a_reader_that_asks_no_more_is_named() -> None:
    """Not one that has read all, or asked today."""
    readers = [FeedReader("roster", 300, 9 * DAY), FeedReader("lms", 0, 9 * DAY)]
    found = culprit_of(dataset(readers=[*readers, FeedReader("portal", 5, 60.0)]))
    assert (found.cause, str(found.party)) == ("feed_unread", "app roster")
    lost = culprit_of(dataset(readers=[FeedReader("lms", 5, 60.0, is_lost=True)]))
    assert "It has to read all records again." in lost.remedy
