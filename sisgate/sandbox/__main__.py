"""`python -m sisgate.sandbox`: serve simulated districts until told to stop."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from sisgate.sandbox.server import serve
from sisgate.sandbox.spec import (
    DEFAULT_DISTRICTS,
    DEFAULT_SEED,
    DEFAULT_STUDENTS,
    DistrictSpec,
    Kind,
    SandboxSpec,
)


def parse_districts(text: str) -> tuple[DistrictSpec, ...]:
    """Read `kind:students` or `name=kind:students`, several with commas. `ValueError` otherwise.

    >>> [(d.name, d.kind, d.students) for d in parse_districts("lincoln=skyward:300,powerschool")]
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


def parse_ports(text: str, districts: Sequence[DistrictSpec]) -> tuple[DistrictSpec, ...]:
    """Return the districts with their ports, given with commas. `ValueError` otherwise."""
    ports = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and int(word) < 65_536 for word in ports):
        raise ValueError(f"a port is a number up to 65535, several with commas, not {text!r}")
    if len(ports) != len(districts):
        raise ValueError(f"{len(districts)} districts need as many ports, not {len(ports)}")
    return tuple(replace(d, port=int(p)) for d, p in zip(districts, ports, strict=True))


def taken_ports(districts: Sequence[DistrictSpec]) -> str | None:
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sisgate.sandbox", description=__doc__)
    parser.add_argument("--districts", help="kind:students or name=kind:students, with commas")
    parser.add_argument("--ports", help="one port for each district, with commas; default: free")
    parser.add_argument("--host", help="address to listen on; default 127.0.0.1")
    parser.add_argument("--quota", help="such as 1000/h, for every district, or none")
    parser.add_argument("--seed", type=int, help="other data; district n gets seed + n")
    parser.add_argument("--spec-file", type=Path, help="JSON of a whole SandboxSpec")
    parser.add_argument("--ready-file", type=Path, help="gets the addresses when all is up")
    parser.add_argument("--exit-with-parent", type=int, metavar="PID", nargs="?", const=0,
                        help="end when the parent process does")  # fmt: skip
    return parser


def _spec(options: argparse.Namespace) -> SandboxSpec:
    """Return the spec that the options ask for. `ValueError` when they contradict."""
    districts = DEFAULT_DISTRICTS
    if options.spec_file:
        plain = json.loads(options.spec_file.read_text(encoding="utf-8"))
        districts = tuple(DistrictSpec.from_dict(district) for district in plain["districts"])
    if options.districts:
        districts = parse_districts(options.districts)
    if options.ports:
        districts = parse_ports(options.ports, districts)
    if options.host:
        districts = tuple(replace(d, host=options.host) for d in districts)
    if options.quota:
        quota = None if options.quota == "none" else options.quota
        districts = tuple(replace(d, quota=quota) for d in districts)
    if options.seed is not None:
        districts = tuple(replace(d, seed=options.seed + n) for n, d in enumerate(districts))
    return SandboxSpec(districts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        spec = _spec(options)
    except (ValueError, TypeError, KeyError, OSError) as error:
        parser.error(str(error))
    if taken := taken_ports(spec.districts):
        parser.error(taken)
    parent = options.exit_with_parent
    asyncio.run(serve(spec, options.ready_file, os.getppid() if parent == 0 else parent))
    return 0


if __name__ == "__main__":
    sys.exit(main())
