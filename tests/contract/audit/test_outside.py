"""What leaves the database: heads, exports, archives."""

import json
import random
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from sisgate.audit import archive, export, heads
from sisgate.audit.content import compact_json
from sisgate.audit.findings import IssueKind
from sisgate.audit.heads import Broken
from sisgate.audit.keys import AuditKey, Verifiers
from sisgate.errors import AuditError, UsageError
from sisgate.ledger.audit_chain import SEAL_COLUMNS
from testbed.audit_book import KEYS, Book
from testbed.audit_mutations import EVENTS, SEALS, Scene, other_value


@pytest.fixture
def exported(full_book: Book, tmp_path: Path) -> Path:
    """The whole log in a file, as a gateway exports it: what is new is sealed first."""
    full_book.seal()
    path = tmp_path / "audit.jsonl"
    with full_book.database.snapshot() as session:
        path.write_text("".join(f"{line}\n" for line in export.lines(session, KEYS)), "utf-8")
    return path


def test_an_export_verifies_by_itself(full_book: Book, exported: Path) -> None:
    """It says the same as the database."""
    verdict, own = export.verify_file(exported, KEYS), full_book.verify()
    assert verdict.findings == []
    assert (verdict.seals, verdict.events, verdict.unsealed) == (
        own.seals,
        own.events,
        own.unsealed,
    )


def test_a_line_that_is_changed_or_missing_or_moved_is_found(exported: Path) -> None:
    """Each line of the file, in each of these ways."""
    lines = exported.read_text("utf-8").splitlines()
    dice = random.Random(1)
    for place, line in enumerate(lines):
        ((kind, words),) = json.loads(line).items()
        names = [name for name, value in words.items() if isinstance(value, str) and value]
        name = dice.choice(names)
        changed = json.dumps({kind: {**words, name: f"{words[name]}0"}})
        other = (place + 1) % len(lines)
        moved = list(lines)
        moved[place], moved[other] = moved[other], moved[place]
        for wrong in (
            [*lines[:place], changed, *lines[place + 1 :]],
            [*lines[:place], *lines[place + 1 :]],
            moved,
        ):
            exported.write_text("\n".join(wrong) + "\n", "utf-8")
            assert not is_whole(exported), (place, kind, name)


def test_what_an_export_would_not_write_is_found(exported: Path) -> None:
    """A line after the head, a word more in an event, a word that stands there twice."""
    lines = exported.read_text("utf-8").splitlines()
    place = next(n for n, line in enumerate(lines) if line.startswith('{"event":{'))
    event = lines[place]
    more = event.replace('{"event":{', '{"event":{"note":"x",')
    twice = event.replace('{"event":{', '{"event":{"actor":"x",')
    for wrong in (
        [*lines, event],
        [*lines[:place], more, *lines[place + 1 :]],
        [*lines[:place], twice, *lines[place + 1 :]],
    ):
        exported.write_text("\n".join(wrong) + "\n", "utf-8")
        assert not is_whole(exported)


def is_whole(path: Path, keys: Verifiers = KEYS) -> bool:
    """Return whether a file verifies; one that is no export is not whole either."""
    try:
        return export.verify_file(path, keys).is_whole
    except AuditError:
        return False


def test_another_file_is_told_from_an_export(tmp_path: Path) -> None:
    """With the line at which it ends to be one."""
    path = tmp_path / "notes.txt"
    path.write_text("Dear auditor\n", "utf-8")
    with pytest.raises(AuditError, match="is not one of an exported audit log"):
        export.verify_file(path, KEYS)
    with pytest.raises(AuditError, match="cannot be read"):
        export.verify_file(tmp_path / "nowhere", KEYS)


def test_heads_are_added_to_a_file_and_a_line_that_is_not_ours_is_told(
    full_book: Book, tmp_path: Path
) -> None:
    """A changed head counts as none."""
    path = tmp_path / "heads.jsonl"
    for head in full_book.heads:
        heads.append(path, head)
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(heads.read_heads([path], KEYS)) == full_book.heads
    begun = heads.read_heads([path, path], KEYS)
    next(begun)
    heads.append(path, full_book.heads[-1])
    assert len(list(begun)) == 2 * len(full_book.heads) - 1  # not what came meanwhile
    with pytest.raises(AuditError, match="cannot be read"):
        heads.read_heads([tmp_path / "nowhere"], KEYS)
    assert heads.newest_in(path, KEYS) == full_book.heads[-1]

    lines = path.read_text().splitlines()
    lines[1] = lines[1].replace('"total":24', '"total":25')
    path.write_text("\n".join(lines) + "\n")
    found = list(heads.read_heads([path], KEYS))
    assert Broken(path, 2) in found
    full_book.heads = found  # type: ignore[assignment]  # as a command reads them
    assert full_book.verify().counts == {IssueKind.HEAD_BROKEN: 1}


def test_a_log_that_was_written_anew_with_the_keys_has_other_heads(book: Book) -> None:
    """Somebody with a key can make a whole log, but not one that fits the heads kept outside."""
    book.fill(seals=2, events=1)
    kept = book.heads
    with book.tampering() as session:
        Scene(session, random.Random(1)).change(
            EVENTS, Scene(session, random.Random(1)).rows(EVENTS)[0], actor="nobody"
        )
    other = Book(book.database)
    other.heads = [heads.Head(**{**kept[0].__dict__, "head": "00" * 36, "signature": ""})]
    signed = heads.Head(
        **{**other.heads[0].__dict__, "signature": KEYS.newest.sign(other.heads[0].signed)}
    )
    book.heads = [signed, *kept[1:]]
    assert book.verify().counts == {IssueKind.REWRITTEN: 1}


def test_heads_go_to_a_command_too(full_book: Book, tmp_path: Path) -> None:
    """One line on its standard input; that it failed is told."""
    got = tmp_path / "got"
    program = f"import sys, pathlib; pathlib.Path({str(got)!r}).write_text(sys.stdin.read())"
    heads.hand_over([sys.executable, "-c", program], full_book.heads[0])
    assert heads.parse_head(got.read_text(), KEYS) == full_book.heads[0]
    with pytest.raises(AuditError, match="ended with code 3"):
        heads.hand_over([sys.executable, "-c", "raise SystemExit(3)"], full_book.heads[0])


def test_an_archive_holds_the_old_part_and_the_rest_stays_whole(
    full_book: Book, tmp_path: Path
) -> None:
    """Both verify; nothing is in neither."""
    path = tmp_path / "old.jsonl"
    before = full_book.verify()
    until = before.last_sealed_at
    assert until is not None
    full_book.database.commit_hook = full_book.writers[0]
    done = archive.archive(
        full_book.database, KEYS, full_book.clock, archive.Segment(until), path,
        actor="ana", reason="kept for a year",
    )  # fmt: skip
    old = export.verify_file(path, KEYS)
    assert (old.findings, old.events, old.last_seal) == ([], done.events, 5)
    full_book.seal()
    rest = full_book.verify()
    assert rest.findings == []
    assert rest.events + old.events == before.events + 1
    with pytest.raises(AuditError, match="cannot be written: File exists"):
        archive.archive(
            full_book.database, KEYS, full_book.clock,
            archive.Segment(full_book.clock.now() + timedelta(days=1)), path, actor="ana",
        )  # fmt: skip


@pytest.mark.parametrize("column", [*SEAL_COLUMNS[1:], "head"])
def test_the_seal_that_an_archive_leaves_cannot_be_changed(
    full_book: Book, tmp_path: Path, column: str
) -> None:
    """Though the seal that its head was linked to is gone."""
    until = full_book.verify().last_sealed_at
    assert until is not None
    full_book.database.commit_hook = full_book.writers[0]
    archive.archive(
        full_book.database, KEYS, full_book.clock, archive.Segment(until), tmp_path / "old.jsonl",
        actor="ana",
    )  # fmt: skip
    full_book.seal()
    assert full_book.verify().findings == []
    for seed in range(4):
        with full_book.tampering() as session:
            scene = Scene(session, random.Random(seed))
            left = scene.rows(SEALS)[0]
            scene.change(SEALS, left, **{column: other_value(scene.dice, column, left[column])})
            assert not full_book.verify(session).is_whole, seed


def test_a_log_that_is_not_whole_is_not_archived(full_book: Book, tmp_path: Path) -> None:
    """What is wrong stays where it can be looked at."""
    from sqlalchemy import text

    from sisgate.ledger import audit_guard

    with full_book.database.write() as session:
        dialect = full_book.database.engine.dialect.name
        audit_guard.take_off(lambda statement: session.execute(text(statement)), dialect)
        session.execute(text("UPDATE audit_events SET actor = 'x' WHERE number = 1"))
        audit_guard.put_on(lambda statement: session.execute(text(statement)), dialect)
    with pytest.raises(AuditError, match="not whole"):
        archive.archive(
            full_book.database, KEYS, full_book.clock,
            archive.Segment(full_book.clock.now()), tmp_path / "old.jsonl", actor="ana",
        )  # fmt: skip


def test_an_old_part_that_is_deleted_without_an_archive_is_found(full_book: Book) -> None:
    """Only an event of the log itself may say that it begins later."""
    with full_book.tampering() as session:
        scene = Scene(session, random.Random(1))
        seals = scene.rows("audit_seals")
        for seal in seals[:2]:
            scene.delete("audit_seals", seal)
        for row in scene.rows(EVENTS):
            if row["number"] <= 12:
                scene.delete(EVENTS, row)
        assert not full_book.verify(session).is_whole


PUBLIC = Verifiers.public([str(key.public) for key in KEYS.keys])


def test_an_auditor_verifies_an_export_with_the_public_keys_alone(
    full_book: Book, exported: Path
) -> None:
    """Any line that was changed, taken out or put in since the export is found."""
    verdict = export.verify_file(exported, PUBLIC, heads=full_book.heads)
    assert verdict.findings == []
    assert verdict.events == full_book.verify().events
    lines = exported.read_text("utf-8").splitlines()
    for place in range(len(lines)):
        ((kind, words),) = json.loads(lines[place]).items()
        name = next(name for name, value in words.items() if isinstance(value, str) and value)
        changed = compact_json({kind: {**words, name: f"{words[name]}0"}})
        for wrong in (
            [*lines[:place], changed, *lines[place + 1 :]],
            [*lines[:place], *lines[place + 1 :]],
            [*lines[: place + 1], *lines[place:]],
        ):
            exported.write_text("\n".join(wrong) + "\n", "utf-8")
            assert not is_whole(exported, PUBLIC), (place, kind, name)


def test_an_export_that_lacks_what_the_auditor_s_heads_tell_of_is_found(
    full_book: Book, exported: Path
) -> None:
    """A log cut off before it was exported is signed all the same: the heads tell."""
    later = full_book.heads[-1]
    full_book.fill(seals=2, events=2)
    kept = full_book.heads
    assert kept[-1].number > later.number
    verdict = export.verify_file(exported, PUBLIC, heads=kept)
    assert set(verdict.counts) == {IssueKind.TRUNCATED}


def test_another_s_public_key_and_what_is_no_key_are_told(exported: Path) -> None:
    """The first is a finding, the second a mistake."""
    stranger = AuditKey(b"x" * 32).public
    verdict = export.verify_file(exported, Verifiers([stranger]))
    assert IssueKind.UNKNOWN_KEY in verdict.counts
    with pytest.raises(UsageError, match="no public key"):
        Verifiers.public(["hello"])
