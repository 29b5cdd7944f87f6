"""Schedules in the configuration file: what is wrong with one is told with its line."""

from pathlib import Path

import pytest

from tests.unit.settings.test_load import problems

PROVIDER = """\
[providers.lincoln]
kind = "skyward"
endpoints = [{url = "https://sis.test"}]
"""


def told(tmp_path: Path, words: str) -> str:
    """The one mistake of a schedule."""
    (found,) = problems(tmp_path, f"{PROVIDER}[schedules.nightly]\n{words}")
    return found


@pytest.mark.parametrize(
    ("words", "line", "what"),
    [
        ('provider = "lincoln"', 4, "write either cron"),
        ('provider = "lincoln"\ncron = "0 2 * * *"\nevery = "PT1H"', 4, "write either cron"),
        ('provider = "lincoln"\ncron = "at night"', 6, "five fields of a cron"),
        ('provider = "lincoln"\nevery = 5', 6, "at least"),
        ('provider = "lincon"\nevery = "PT1H"', 5, "no provider 'lincon'"),
        ('provider = "lincoln"\nresources = ["pupils"]\nevery = "PT1H"', 6, "pupils"),
        ('provider = "lincoln"\nevery = "PT1H"\nzone = "Chicago"', 7, "not a time zone"),
        ('every = "1h"', 4, "write either provider"),
        ('provider = "lincoln"\nwhere = { pool = "n" }\nevery = "1h"', 4, "write either provider"),
        ('where = { place = "n" }\nevery = "1h"', 5, "place: is not a setting"),
        ('provider = "*"\nresources = ["pupils"]\nevery = "1h"', 6, "pupils is not among"),
        ('provider = "*"\nevery = "1h"\nwindow = "2h"', 4, "window is at most every"),
        ('provider = "lincoln"\nevery = "P365D"\ncatch_up = "P200D"', 7, "retention.jobs"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    tmp_path: Path, words: str, line: int, what: str
) -> None:
    """Also what only the rest of the file shows to be wrong."""
    found = told(tmp_path, words)
    assert found.startswith(f"my.toml:{line}: schedules.nightly")
    assert what in found


def test_a_provider_with_a_mistake_is_not_said_to_be_missing(tmp_path: Path) -> None:
    """What follows from a mistake that is told already is not told as another one."""
    text = '[providers.lincoln]\nkind = "abacus"\n[schedules.a]\nprovider = "lincoln"\nevery = 60'
    assert len([found for found in problems(tmp_path, text) if "schedules" in found]) == 0
