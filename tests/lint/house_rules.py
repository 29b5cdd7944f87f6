"""House rules that no linter has: `python -m tests.lint.house_rules`.

Errors end with status 1: a monotonic clock read outside sisgate.clock, a query built outside
sisgate.ledger, two public classes with one name, and two migrations with one number. Long modules
and functions are only pointed at: a number is a hint, not a verdict.
"""

import ast
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

MODULE_LINES = 250
FUNCTION_LINES = 40
CLOCK_READS = {"monotonic", "monotonic_ns"}
MAY_READ_CLOCKS = ("sisgate/clock.py", "sisgate/sandbox/")
# Where SQLAlchemy may be used. Others get a Session from the ledger and pass it on.
MAY_BUILD_QUERIES = (
    "sisgate/ledger/",
    "sisgate/settings/urls.py",  # parses the URL of a database, before there is one
)
# Public classes of sisgate and workers that still share a name. The list only becomes shorter.
SHARED_NAMES = {"Job": 2}
MIGRATIONS = "sisgate/ledger/migrations/versions"
PRODUCT = ("sisgate", "workers", "beat_schedule.py")


def clock_reads(tree: ast.Module) -> Iterator[int]:
    """Yield the lines where `time.monotonic` is used or imported."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="time"), attr=name) if name in CLOCK_READS:
                yield node.lineno
            case ast.ImportFrom(module="time", names=names):
                if CLOCK_READS & {alias.name for alias in names}:
                    yield node.lineno


def uses_of_sqlalchemy(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and name of what is imported from SQLAlchemy, but for `Session`, a type."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (
                    (node.lineno, each.name)
                    for each in names
                    if each.name.partition(".")[0] == "sqlalchemy"
                )
            case ast.ImportFrom(module=str(module), names=names):
                if module.partition(".")[0] == "sqlalchemy":
                    found = (f"{module}.{each.name}" for each in names)
                    yield from (
                        (node.lineno, name) for name in found if name != "sqlalchemy.orm.Session"
                    )


def long_functions(tree: ast.Module) -> Iterator[tuple[int, str, int]]:
    """Yield line, name and length of functions that are longer than the house likes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            if length > FUNCTION_LINES:
                yield node.lineno, node.name, length


def public_classes(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and name of the classes that a module offers."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node.lineno, node.name


def shared_names(
    places: Mapping[str, Sequence[str]], allowed: Mapping[str, int] = SHARED_NAMES
) -> list[str]:
    """Return the errors about names that several classes have; `places` are theirs, by name."""
    errors = []
    for name, where in sorted(places.items()):
        limit = allowed.get(name, 1)
        if len(where) > limit:
            errors += [
                f"{place}: error: {len(where)} public classes are called {name}; name one otherwise"
                for place in where
            ]
    for name, limit in sorted(allowed.items()):
        if len(places.get(name, ())) < limit:
            errors.append(
                f"tests/lint/house_rules.py:1: error: fewer than {limit} classes are called {name}"
                " now: shorten SHARED_NAMES"
            )
    return errors


def migrations_of_one_number(names: Iterable[str]) -> list[str]:
    """Return the errors about migrations that would be two heads; `names` are those of files."""
    files: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        files[name.partition("_")[0]].append(name)
    return [
        f"{MIGRATIONS}/{later[-1]}:1: error: {later[0]} is migration {number} already"
        for number, later in files.items()
        if len(later) > 1
    ]


def check(path: str, source: str) -> tuple[list[str], list[str]]:
    """Return the errors and the hints about one module; `path` is relative to the repository."""
    tree = ast.parse(source, path)
    errors = []
    if not path.startswith(MAY_READ_CLOCKS):
        errors = [
            f"{path}:{line}: error: take a sisgate.clock.Clock instead of time.monotonic"
            for line in clock_reads(tree)
        ]
    if not path.startswith(MAY_BUILD_QUERIES):
        errors += [
            f"{path}:{line}: error: {name} is used in sisgate.ledger only; put the query there"
            for line, name in uses_of_sqlalchemy(tree)
        ]
    hints = [
        f"{path}:{line}: hint: {name} has {length} lines (aim below {FUNCTION_LINES})"
        for line, name, length in long_functions(tree)
    ]
    if (lines := source.count("\n")) > MODULE_LINES:
        hints.append(f"{path}:1: hint: {lines} lines (aim below {MODULE_LINES})")
    return errors, hints


def main() -> int:
    """Check the product's modules; return the exit status."""
    root = Path(__file__).parents[2]
    files = [
        f for p in PRODUCT for f in ([root / p] if p.endswith(".py") else (root / p).rglob("*.py"))
    ]
    found: list[str] = []
    places = defaultdict(list)
    for file in sorted(files):
        path, source = file.relative_to(root).as_posix(), file.read_text("utf-8")
        errors, hints = check(path, source)
        found += errors
        for line in errors + hints:
            print(line)
        for number, name in public_classes(ast.parse(source, path)):
            places[name].append(f"{path}:{number}")
    names = [file.name for file in (root / MIGRATIONS).glob("0*.py")]
    for line in (across := shared_names(places) + migrations_of_one_number(names)):
        print(line)
    found += across
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
