"""Hosts that do not agree, as real processes: `doctor` names them, and no work is lost by them."""

from __future__ import annotations

from testbed.fleet import Fleet, MakeFleet


def findings(fleet: Fleet, subject: str) -> dict[str, str]:
    """Return what `doctor` finds of a subject, by grade; several of one grade are joined."""
    found: dict[str, str] = {}
    for each in fleet.gateway.diagnosis.run():
        if each.subject == subject:
            said = f"{each.what}. {each.remedy}"
            found[each.grade] = f"{found.get(each.grade, '')} {said}".strip()
    return found


def start_with(fleet: Fleet, text: str) -> None:
    """Start a worker that has a file of its own, as on another host."""
    other = fleet.folder / "other.toml"
    other.write_text(text, encoding="utf-8")
    fleet.start_worker(SISGATE_CONFIG=str(other))


def test_two_files_with_different_limits_are_a_failed_check_until_one_is_applied(
    make_fleet: MakeFleet,
) -> None:
    """The ledger has no version yet, and one worker was started with another file."""
    fleet = make_fleet(alpha='limit = "20/2s"', beta="")
    text = (fleet.folder / "sisgate.toml").read_text(encoding="utf-8")
    fleet.start_worker()
    assert "fail" not in findings(fleet, "configuration")
    start_with(fleet, text.replace("20/2s", "60/2s"))

    failed = findings(fleet, "configuration")["fail"]
    assert "the file of w1@test on " in failed
    assert " in providers.alpha. " in failed
    assert "`sisgate config apply`" in failed

    version = fleet.configure(alpha='limit = "20/2s"', beta="")
    fleet.wait(
        lambda: {
            each.configuration for each in fleet.gateway.context.heartbeats.read().processes
        } == {version},
        "both workers follow",
    )  # fmt: skip
    assert "fail" not in findings(fleet, "configuration")


def test_other_rules_of_access_are_a_failed_check(make_fleet: MakeFleet) -> None:
    """One worker would refuse what the other allows, whatever the configuration says."""
    fleet = make_fleet(alpha="")
    fleet.start_worker()
    text = (fleet.folder / "sisgate.toml").read_text(encoding="utf-8")
    start_with(fleet, f'access = "tokens"\n{text}')
    failed = findings(fleet, "access")["fail"]
    assert "the settings of w1@test on " in failed
    assert " in access. " in failed
