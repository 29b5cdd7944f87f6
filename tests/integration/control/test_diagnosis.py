"""Doctor asks many providers at once, the most suspicious ones first, for a bounded time."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest

from sisgate import Gateway
from sisgate.context import Context
from sisgate.domain.secret import Secret
from sisgate.errors import DatabaseUnavailable
from sisgate.gateway.core import Core
from sisgate.gateway.diagnosis import providers
from sisgate.gateway.diagnosis.providers import Check, ask_each
from sisgate.gateway.diagnosis.result import DiagnosticResult
from sisgate.gateway.hold import Hold
from sisgate.ledger import alerts, migrate
from sisgate.settings import ProviderConfig
from testbed.clock import ManualClock
from testbed.installation import install

DOWN = """
[providers.down]
kind = "oneroster"
token_url = "http://127.0.0.1:9/token"
allow_insecure = true
[[providers.down.endpoints]]
url = "http://127.0.0.1:9"
"""


def test_an_outage_is_told_of_the_endpoint_and_not_of_the_key(
    tmp_path: Path, redis_url: str
) -> None:
    """Nobody replaces a key that the provider has not judged."""
    settings = install(tmp_path, DOWN, redis_url=redis_url)
    with closing(Gateway(settings)) as gateway:
        migrate.upgrade(gateway.context.database)
        gateway.keys.of("down").add("41", Secret("s"), actor="ana")
        found = {each.subject: each for each in gateway.diagnosis.run("down")}
    key, endpoint = found["down key"], found["down endpoint"]
    assert (key.grade, endpoint.grade) == ("fail", "fail")
    assert "http://127.0.0.1:9: cannot be reached" in endpoint.what
    assert "goes on by itself" in (endpoint.remedy or "")
    assert "The key was not judged" in (key.remedy or "")
    assert "keys stage" not in (key.remedy or "")


AWAY = "The database cannot be reached."


def asked(gateway: Gateway, check: Check, clock: ManualClock | None = None) -> list[str]:
    """Ask all providers; return the subjects of the results."""
    context = Context(gateway.settings, clock=clock, database=gateway.context.database)
    configs = list(gateway.settings.providers.values())
    return [each.subject for each in ask_each(Core(context), configs, check)]


def well(config: ProviderConfig, hold: Hold | None) -> Iterator[DiagnosticResult]:
    """Yield the name of a provider, and whether it is held."""
    yield DiagnosticResult(f"{config.name}, {hold.reason}" if hold else config.name, "ok", "asked")


def test_the_most_suspicious_providers_are_asked_first(
    gateway: Gateway, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hold before work before nothing. Those for whom there is no time are counted."""
    gateway.providers.control("twin").pause(actor="ada")
    gateway.enqueue_request("open", "GET", "/orgs")
    assert asked(gateway, well) == ["twin, paused", "open", "lincoln"]

    def slowly(config: ProviderConfig, hold: Hold | None) -> Iterator[DiagnosticResult]:
        clock.advance(providers.SECONDS / 2)
        yield from well(config, hold)

    monkeypatch.setattr(providers, "THREADS", 1)
    assert asked(gateway, slowly, clock) == ["twin, paused", "open", "providers"]


def test_providers_are_asked_at_once(gateway: Gateway) -> None:
    """One that takes its time holds up no other."""
    barrier = Barrier(3)

    def together(config: ProviderConfig, hold: Hold | None) -> Iterator[DiagnosticResult]:
        barrier.wait(30)
        yield from well(config, hold)

    assert asked(gateway, together) == ["lincoln", "open", "twin"]


def test_how_many_were_not_asked_is_said(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do about it."""
    monkeypatch.setattr(providers, "SECONDS", 0.0)
    last = list(gateway.diagnosis.run())[-1]
    assert (last.subject, last.grade) == ("providers", "warn")
    assert last.what.startswith("3 of 3 were not asked within 0 s")
    assert last.remedy == "`sisgate doctor PROVIDER` asks one."


def test_a_ledger_that_goes_away_in_between_takes_no_results_with_it(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each provider says what became of it, with what was found before."""

    def away(*_: object, **__: object) -> object:
        raise DatabaseUnavailable(AWAY)

    def check(config: ProviderConfig, hold: Hold | None) -> Iterator[DiagnosticResult]:
        yield from well(config, hold)
        away()

    monkeypatch.setattr(alerts, "find", away)
    monkeypatch.setattr(alerts, "waiting_by_channel", away)
    monkeypatch.setattr("sisgate.ledger.webhooks.of_app", away)
    every = list(gateway.diagnosis.run())
    gone = {"webhooks", "alert channels"}
    assert {each.subject for each in every if each.what == AWAY} == gone
    configs = list(gateway.settings.providers.values())
    found = list(ask_each(Core(gateway.context), configs, check))
    assert [(each.subject, each.grade) for each in found] == [
        (config.name, grade) for config in configs for grade in ("ok", "fail")
    ]
    assert {each.what for each in found if each.grade == "fail"} == {AWAY}
