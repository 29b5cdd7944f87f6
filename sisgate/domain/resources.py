"""The resources of a roster, named as in OneRoster 1.2, parents before children."""

from __future__ import annotations

ROSTER: tuple[str, ...] = (
    "orgs",
    "terms",
    "courses",
    "classes",
    "teachers",
    "students",
    "enrollments",
    "demographics",
)
"""What every kind offers, parents before children."""
