"""`sisgate.toml` under `sisgate up`: applied when saved, unless that undoes or ends something."""

from pathlib import Path

import pytest

from sisgate import Gateway
from sisgate.errors import DatabaseUnavailable
from sisgate.stack.configuration_file import APPLIED, ConfigurationFile
from testbed.clock import ManualClock

LIMIT = 'limit = "1000/h"'


class Followed:
    """A file that a stack follows, and what it said."""

    def __init__(self, file: Path, gateway: Gateway, clock: ManualClock) -> None:
        self.path = file
        self.clock = clock
        self.gateway = gateway
        self.start()

    def start(self) -> None:
        """Begin as `sisgate up` does."""
        self.said: list[str] = []
        folder = self.path.parent
        self.file = ConfigurationFile(self.path, folder, self.gateway, self.clock, self.hear)
        self.file.apply()

    def hear(self, text: str, level: str) -> None:
        """Note what is said; what was not applied is a warning."""
        assert (level == "warning") == ("not applied" in text or "cannot be written" in text)
        self.said.append(text)

    def save(self, old: str, new: str) -> str:
        """Save a changed file; return what is said of it."""
        before = len(self.said)
        draft = self.path.with_suffix(".draft")
        draft.write_text(self.path.read_text("utf-8").replace(old, new), "utf-8")
        draft.replace(self.path)
        for _ in range(3):
            self.file.check()
        return " ".join(self.said[before:])

    @property
    def limit(self) -> str:
        """What is in force."""
        config = self.gateway.configuration.current().providers["lincoln"]
        return ", ".join(map(str, config.windows))


@pytest.fixture
def followed(gateway: Gateway, file: Path, clock: ManualClock) -> Followed:
    """The file, just applied."""
    return Followed(file, gateway, clock)


def test_it_is_applied_at_the_start_and_when_it_is_saved(followed: Followed) -> None:
    """And says what changed; a start with the same file says nothing."""
    (said,) = followed.said
    added = "+ providers.lincoln, + providers.adams, + schedules.nightly"
    assert said == f"sisgate.toml: version 1 is in force: {added}"
    said = followed.save(LIMIT, 'limit = "500/h"')
    assert said == "sisgate.toml: version 2 is in force: ~ providers.lincoln"
    assert followed.limit == "500/h"
    followed.start()
    assert followed.said == []


def test_a_mistake_leaves_the_running_version_alone(followed: Followed) -> None:
    """It is said once, with its line; the corrected file is applied."""
    said = followed.save(LIMIT, 'limit = "fast"')
    assert "not applied, the configuration stays as it is" in said
    assert "sisgate.toml:6: providers.lincoln.limit" in said
    assert followed.limit == "1000/h"
    assert followed.save('limit = "fast"', 'limit = "7/h"').startswith("sisgate.toml: version 2")


def test_what_needs_a_restart_is_said(followed: Followed) -> None:
    """Alone or beside what is applied, until it is as at the start; a mistake in it, too."""
    assert followed.save("[providers.lincoln]", 'access = "tokens"\n[providers.lincoln]') == (
        "sisgate.toml: Restart `sisgate up` for a change of access."
    )
    said = followed.save(LIMIT, f"{LIMIT}\n\n[web]\nmax_waiting = 7\n\n[apps.x]")
    assert "version 2 is in force" in said
    assert said.endswith("Restart `sisgate up` for a change of access, web.")
    said = followed.save('access = "tokens"', 'access = "token"')
    assert "not applied, the configuration stays as it is" in said
    assert "access" in said
    back = followed.path.read_text("utf-8").replace("[web]\nmax_waiting = 7\n\n", "")
    followed.path.write_text(back, "utf-8")
    assert followed.save('access = "token"\n', "") == ""


def test_what_was_changed_elsewhere_is_not_undone(followed: Followed) -> None:
    """Not by a start, and not by a save: a person looks at both."""
    configuration = followed.gateway.configuration
    configuration.apply(configuration.plan_edit("adams", {"burst": 3}), actor="ana")
    followed.start()
    (said,) = followed.said
    assert "not applied: version 2, which was applied elsewhere, is in force" in said
    assert said.endswith("`sisgate config diff`, then `sisgate config apply sisgate.toml`.")
    assert followed.save(LIMIT, 'limit = "500/h"') == said  # a save is always answered
    assert (followed.limit, configuration.current().version) == ("1000/h", 2)
    configuration.apply(followed.path, actor="ana")
    assert followed.save("500/h", "400/h").endswith("version 4 is in force: ~ providers.lincoln")


def test_a_file_that_says_what_is_in_force_in_other_words_may_be_edited(followed: Followed) -> None:
    """As one saved from `sisgate config show` after a change that was made elsewhere."""
    configuration = followed.gateway.configuration
    configuration.apply(configuration.plan_edit("adams", {"burst": 3}), actor="ana")
    assert followed.save("[providers.adams]", "[apps]\n\n[providers.adams]\nburst = 3") == ""
    assert followed.save(LIMIT, 'limit = "500/h"').endswith("in force: ~ providers.lincoln")


def test_a_file_that_was_emptied_removes_nobody(followed: Followed) -> None:
    """An editor or a script that cut the file short stops no district."""
    said = followed.save(followed.path.read_text("utf-8"), "")
    assert "not applied: it has no providers, and would remove all that are configured" in said
    assert followed.limit == "1000/h"


def test_waiting_work_is_not_ended_without_a_person(followed: Followed) -> None:
    """A provider that was commented out by mistake loses no job."""
    job = followed.gateway.sync("adams", "students")
    text = followed.path.read_text("utf-8")
    said = followed.save(text[text.index("[providers.adams]") :], "")
    assert "it removes adams, of which 1 job waits" in said
    assert job.status().state == "accepted"


def test_alerts_that_a_removed_channel_will_never_send_are_named(followed: Followed) -> None:
    """The file is applied: nobody's work ends by it."""
    channel = '[alerts.channels.ops]\nurl_env = "OPS_ALERTS"\n'
    followed.save("[providers.lincoln]", f"{channel}[providers.lincoln]")
    followed.gateway.alerts.test("ops", actor="ana")
    assert followed.save(channel, "") == (
        "sisgate.toml: version 3 is in force: - alerts. "
        "1 waiting message of the channel ops will never be sent."
    )


def test_without_the_ledger_it_is_tried_again(
    followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outage is no mistake."""

    def away(*_: object, **__: object) -> object:
        raise DatabaseUnavailable("The database is away.")

    monkeypatch.setattr(type(followed.gateway.context.database), "read", away)
    assert "not applied yet: The database is away." in followed.save(LIMIT, 'limit = "500/h"')
    monkeypatch.undo()
    followed.clock.advance(10)
    assert followed.save("", "").endswith("version 2 is in force: ~ providers.lincoln")


def test_a_folder_that_cannot_be_written_stops_nothing(followed: Followed) -> None:
    """What is saved is in force, and the stack says what it could not note for its next start."""
    memory = followed.path.parent / APPLIED
    memory.unlink()
    memory.mkdir()  # even the superuser cannot replace a folder by a file
    said = followed.save(LIMIT, 'limit = "500/h"')
    assert "configuration-applied.json cannot be written" in said
    assert followed.limit == "500/h"
    assert "version 3 is in force" in followed.save('limit = "500/h"', 'limit = "400/h"')
