"""What a sandbox serves. Plain values; nothing here needs a web server."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

from sisgate.domain.rates import Rate

Kind = Literal["powerschool", "infinite_campus", "skyward", "oneroster"]
KINDS: tuple[str, ...] = get_args(Kind)

DEFAULT_QUOTAS: Mapping[str, Rate] = {
    "powerschool": Rate.parse("1000/h"),
    "infinite_campus": Rate.parse("500/h"),
    "skyward": Rate.parse("2000/h"),
    "oneroster": Rate.parse("1000/h"),
}

DEFAULT_STUDENTS = 4000
DEFAULT_SEED = 20260901
MAX_STUDENTS = 4_000_000
"""Above this the enrollment numbers no longer fit the seven hex digits of a sourcedId."""


@dataclass(frozen=True, slots=True)
class AcceptedCredential:
    """A client id and secret that a district accepts (OAuth 1.0a: consumer key and secret)."""

    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DistrictSpec:
    """One district: its dialect, its size, its quota and how it behaves.

    `quota` is a `Rate`, its text (`"60/10s"`), None for no quota, or `"kind"` for the default of
    the kind. `port` 0 takes a free one. `knobs` are fields of `sisgate.sandbox.knobs.Knobs`.
    Without `credentials` the pair is `sandbox-<name>` and `sandbox-secret-<name>`.
    `ValueError` when a value is out of range.
    """

    name: str
    kind: Kind
    students: int = DEFAULT_STUDENTS
    seed: int = DEFAULT_SEED
    host: str = "127.0.0.1"
    port: int = 0
    quota: Rate | str | None = "kind"
    credentials: tuple[AcceptedCredential, ...] = ()
    knobs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"a district's kind is one of {', '.join(KINDS)}, not {self.kind!r}")
        if not 1 <= self.students <= MAX_STUDENTS:
            raise ValueError(f"a district has 1 to {MAX_STUDENTS} students, not {self.students}")
        if isinstance(self.quota, str) and self.quota != "kind":
            object.__setattr__(self, "quota", Rate.parse(self.quota))

    @property
    def rate(self) -> Rate | None:
        """The quota as a rate; None means that calls are only counted."""
        if isinstance(self.quota, str):
            return DEFAULT_QUOTAS[self.kind]
        return self.quota

    @property
    def accepted(self) -> tuple[AcceptedCredential, ...]:
        """The credentials that are valid at the start; there is always one."""
        return self.credentials or (
            AcceptedCredential(f"sandbox-{self.name}", f"sandbox-secret-{self.name}"),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dict that `from_dict` reads back."""
        plain = asdict(self)
        plain["knobs"] = dict(self.knobs)
        plain["quota"] = None if self.rate is None else str(self.rate)
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> DistrictSpec:
        """Read what `as_dict` wrote. `TypeError` or `ValueError` when it is something else."""
        pairs = tuple(AcceptedCredential(**pair) for pair in plain.get("credentials", ()))
        return cls(**{**plain, "credentials": pairs})


DEFAULT_DISTRICTS: tuple[DistrictSpec, ...] = (
    DistrictSpec("powerschool", "powerschool", students=5000, seed=DEFAULT_SEED),
    DistrictSpec("infinite_campus", "infinite_campus", students=4200, seed=DEFAULT_SEED + 1),
    DistrictSpec("skyward", "skyward", students=3400, seed=DEFAULT_SEED + 2),
)
"""Three districts, one per kind, of 12,600 students together."""


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """The districts that one process serves. `ValueError` when two share a name."""

    districts: tuple[DistrictSpec, ...] = DEFAULT_DISTRICTS

    def __post_init__(self) -> None:
        names = [district.name for district in self.districts]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"a sandbox has districts of different names, not {names}")


def parse_spec(
    districts: str | None,
    quota: str | None,
    ports: str | None,
    seed: int | None,
    *,
    host: str | None = None,
    file: Path | None = None,
) -> SandboxSpec:
    """Return the sandbox that the options of a command line ask for; `file` is JSON of a spec.

    Raises `ValueError` for what cannot be read, and for a port that cannot be opened.
    """
    found = DEFAULT_DISTRICTS
    if file:
        plain = json.loads(file.read_text(encoding="utf-8"))
        found = tuple(DistrictSpec.from_dict(district) for district in plain["districts"])
    if districts:
        found = _districts(districts)
    if ports:
        found = _with_ports(ports, found)
    if host:
        found = tuple(replace(d, host=host) for d in found)
    if quota:
        found = tuple(replace(d, quota=None if quota == "none" else quota) for d in found)
    if seed is not None:
        found = tuple(replace(d, seed=seed + n) for n, d in enumerate(found))
    if taken := _taken_port(found):
        raise ValueError(taken)
    return SandboxSpec(found)


def _districts(text: str) -> tuple[DistrictSpec, ...]:
    """Read `kind:students` or `name=kind:students`, several with commas. `ValueError` otherwise.

    >>> [(d.name, d.kind, d.students) for d in _districts("lincoln=skyward:300,powerschool")]
    [('lincoln', 'skyward', 300), ('powerschool', 'powerschool', 4000)]
    """
    districts: list[DistrictSpec] = []
    for item in text.split(","):
        label, equals, rest = item.strip().partition("=")
        kind, colon, size = (rest if equals else label).partition(":")
        name = label if equals else kind
        if colon and not size.isdecimal():
            raise ValueError(f"a number of students is written like 300, not {size!r}")
        students = int(size) if colon else DEFAULT_STUDENTS
        seed = DEFAULT_SEED + len(districts)
        districts.append(DistrictSpec(name, cast("Kind", kind), students=students, seed=seed))
    return tuple(districts)


def _with_ports(text: str, districts: Sequence[DistrictSpec]) -> tuple[DistrictSpec, ...]:
    """Return the districts with their ports, given with commas. `ValueError` otherwise."""
    ports = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and int(word) < 65_536 for word in ports):
        raise ValueError(f"a port is a number up to 65535, several with commas, not {text!r}")
    if len(ports) != len(districts):
        raise ValueError(f"{len(districts)} districts need as many ports, not {len(ports)}")
    return tuple(replace(d, port=int(p)) for d, p in zip(districts, ports, strict=True))


def _taken_port(districts: Sequence[DistrictSpec]) -> str | None:
    """Return a sentence about the first port that cannot be opened, or None."""
    for district in districts:
        family = socket.AF_INET6 if ":" in district.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((district.host, district.port))
            except OSError as error:
                where = f"Port {district.port} of {district.host}, for {district.name},"
                return f"{where} cannot be opened: {error.strerror}. Name another one with --ports."
    return None
