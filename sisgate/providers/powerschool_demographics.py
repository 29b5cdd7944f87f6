"""A PowerSchool student's demographics in OneRoster's vocabulary.

Race codes are the district's own. What is mapped are the federal categories that they stand for
(`federal_race_code_category`); where a student has none, the older single code for scheduling and
reporting, if it is one of the usual letters. What is not known is left out and never `false`.
"""

from collections.abc import Mapping
from typing import Any

from sisgate.providers.powerschool_wire import flag, part, parts, text
from sisgate.providers.values import iso_date

_SEXES = {"M": "male", "F": "female", "X": "other", "O": "other", "U": "unspecified"}
_RACES = {
    "I": "americanIndianOrAlaskaNative",
    "A": "asian",
    "B": "blackOrAfricanAmerican",
    "P": "nativeHawaiianOrOtherPacificIslander",
    "W": "white",
}
_SPELLED_OUT = {
    "american indian or alaska native": "I",
    "american indian or alaskan native": "I",
    "asian": "A",
    "black or african american": "B",
    "native hawaiian or other pacific islander": "P",
    "native hawaiian or pacific islander": "P",
    "white": "W",
}
_YES = {"YES": True, "Y": True, "1": True, "TRUE": True}
_NO = {"NO": False, "N": False, "0": False, "FALSE": False}


def demographics_of(student: Mapping[str, Any]) -> dict[str, Any]:
    """Return `birthDate`, `sex` and the race booleans; None for what the student's row lacks."""
    own, ethnicity = part(student, "demographics"), part(student, "ethnicity_race")
    flags = {**_races(ethnicity), "hispanicOrLatinoEthnicity": _hispanic(ethnicity)}
    born, gender = text(own, "birth_date"), (text(own, "gender") or "").upper()
    return {
        "birthDate": iso_date(born) if born else None,
        "sex": _SEXES.get(gender[:1]),
        **{name: None if known is None else flag(known) for name, known in flags.items()},
    }


def _races(ethnicity: Mapping[str, Any]) -> dict[str, bool | None]:
    """Every race as a boolean once one is known; otherwise nothing."""
    codes = [text(each, "federal_race_code_category") for each in parts(ethnicity, "races", "race")]
    single = text(ethnicity, "scheduling_reporting_ethnicity")
    known = {_letter(code) for code in codes or [single]}
    if single == "M" and not codes:
        return {"demographicRaceTwoOrMoreRaces": True}
    if not known.intersection(_RACES):
        return {}
    races: dict[str, bool | None] = {name: letter in known for letter, name in _RACES.items()}
    races["demographicRaceTwoOrMoreRaces"] = len(known.intersection(_RACES)) > 1
    return races


def _letter(code: str | None) -> str | None:
    return _SPELLED_OUT.get(code.lower(), code.upper()) if code else None


def _hispanic(ethnicity: Mapping[str, Any]) -> bool | None:
    answer = (text(ethnicity, "federal_ethnicity") or "").upper()
    known = {**_YES, **_NO}.get(answer)
    if known is None and text(ethnicity, "scheduling_reporting_ethnicity") == "H":
        return True
    return known
