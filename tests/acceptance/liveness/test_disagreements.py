"""Hosts that do not agree, as real processes: `doctor` names them, and no work is lost by them."""

import shutil
from contextlib import closing

from sisgate import Gateway
from sisgate.credentials.master import make_master_key, renew_master_key
from testbed.fleet import Fleet, MakeFleet, Process
from testbed.recorder import Recorder


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


def want_a_key(gateway: Gateway) -> None:
    """Have alpha ask for a key, and give it one."""
    document = gateway.configuration.check(gateway.settings.config_file or {}).document
    document["providers"]["alpha"]["auth"] = "bearer"
    gateway.configuration.apply(document, actor="test")
    gateway.keys.of("alpha").add("us", "secret", actor="test")


def test_a_worker_that_cannot_open_a_key_leaves_its_calls_to_others(
    make_fleet: MakeFleet, recorder: Recorder
) -> None:
    """It was not restarted after the master key was renewed. No call fails by it."""
    fleet = make_fleet(alpha='limit = "off"')
    old = fleet.folder / "old.key"
    shutil.copy(fleet.settings.master_key_path, old)
    fleet.start_worker(SISGATE_MASTER_KEY_FILE=str(old))
    renewed = renew_master_key(fleet.settings.master_key_path).id.hex()
    with closing(Gateway(fleet.settings)) as gateway:
        want_a_key(gateway)
        jobs = [gateway.enqueue_request("alpha", "GET", f"/{number}") for number in range(6)]
        fleet.wait(lambda: "fail" in findings(fleet, "worker"), "doctor names it")
        assert f"the master key of its key, {renewed}" in findings(fleet, "worker")["fail"]
        assert not recorder["alpha"].arrivals

        fleet.start_worker()
        assert [job.wait(60).state for job in jobs] == ["done"] * 6
    failed = findings(fleet, "worker")["fail"]
    assert "w0@test on " in failed
    assert "cannot open the key of alpha" in failed
    assert "SISGATE_MASTER_KEY_FILE" in failed


def test_a_worker_with_a_wrong_master_key_does_not_start(make_fleet: MakeFleet) -> None:
    """`doctor` says so, with the host, until it has started with the right one."""
    fleet = make_fleet(alpha="")
    want_a_key(fleet.gateway)
    wrong = fleet.folder / "wrong.key"
    make_master_key(wrong)
    environment = fleet.environment | {"SISGATE_MASTER_KEY_FILE": str(wrong)}
    refused = Process(
        "-A workers worker -c 1 -n w0@test", (), environment, fleet.folder / "refused.log"
    )
    try:
        assert refused.popen.wait(60) != 0
    finally:
        refused.end()
    assert "The ledger needs keys that are missing here" in refused.log
    assert "w0@test on " in findings(fleet, "worker")["fail"]
    assert " refused to start " in findings(fleet, "worker")["fail"]

    fleet.start_worker()
    assert "fail" not in findings(fleet, "worker")


def test_what_a_lost_master_key_sealed_fails_and_waits_for_nobody(make_fleet: MakeFleet) -> None:
    """Once the key was declared lost, no worker will ever have it."""
    fleet = make_fleet(alpha="")
    (job,) = fleet.request("alpha")
    fleet.settings.master_key_path.unlink()
    with closing(Gateway(fleet.settings)) as gateway:
        gateway.keys.master.make()
        assert gateway.keys.master.give_up(actor="test")
        fleet.start_worker()
        fleet.wait(lambda: gateway.jobs.status(job).is_final, "the job's end")
        status = gateway.jobs.status(job)
    assert (status.state, (status.error or {})["code"]) == ("failed", "credentials")
