"""The documentation says what is there: links lead somewhere, tables and lists match the code."""

import importlib
import inspect
import re
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from sisgate import Gateway
from sisgate.cli.main import app
from sisgate.gateway.configuration import Configuration
from sisgate.gateway.datasets import Datasets
from sisgate.gateway.fleet import FleetStatus
from sisgate.gateway.jobs import Jobs
from sisgate.gateway.keys import Keys
from sisgate.gateway.privacy import Privacy
from sisgate.gateway.providers import Providers
from sisgate.gateway.webhooks import Webhooks
from sisgate.ledger.schema import Base
from sisgate.sandbox.knobs import Knobs
from workers.jobs.app_tasks import SyncArguments

ROOT = Path(__file__).parents[3]
TOP = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES = [*TOP, *sorted((ROOT / "docs").rglob("*.md"))]
# The options of the whole program, which may stand anywhere.
EVERYWHERE = {"--json", "--config", "--data-dir", "--version", "--help", "-c", "-d", "-h"}
EVERYWHERE |= {"--install-completion", "--show-completion"}
# Files, tasks, an entry point, and packages that do not exist: one day, and by decision 0011.
NO_MODULES = tuple(
    f"sisgate.{name}"
    for name in (
        *("toml", "db", "example", "cdx"),
        *("sync", "status", "cancel", "call", "rotate"),
        *("key_sources", "transformers", "web", "workers"),
    )
)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")


def text_of(name: str) -> str:
    """A page below the repository's root."""
    return (ROOT / name).read_text("utf-8")


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    """Every relative link, with its anchor."""
    for path, anchor in LINK.findall(page.read_text("utf-8")):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{path} does not exist"
        assert not anchor or anchor in anchors(target), f"{path} has no heading {anchor}"


def test_what_pages_link_to_is_in_the_source_distribution() -> None:
    """A reader of the unpacked archive finds it, too."""
    project = tomllib.loads(text_of("pyproject.toml"))
    shipped = [*project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"], "LICENSE"]
    for page in PAGES:
        for path, _ in LINK.findall(page.read_text("utf-8")):
            top = (page.parent / path).resolve().relative_to(ROOT).parts[:1]
            assert not top or any(fnmatch(top[0], pattern) for pattern in shipped), path


def test_pages_that_code_and_messages_name_exist() -> None:
    """A message that sends its reader to `docs/…` sends them to a page, and to a heading of it."""
    folders = ("sisgate", "workers", "tests", "testbed", "benchmarks", "examples", "docs")
    files = [p for folder in folders for p in (ROOT / folder).rglob("*")]
    named = set()
    for path in [*files, *ROOT.iterdir()]:
        if path.suffix in {".py", ".toml", ".yml", ".md", ".lua", ""} and path.is_file():
            text = path.read_text("utf-8", errors="ignore")
            named |= set(re.findall(r"(?<![\w/])(docs/[\w/-]+\.md)(?:#([\w-]+))?", text))
    assert len(named) > 20
    for page, anchor in named:
        assert (ROOT / page).is_file(), page
        assert not anchor or anchor in anchors(ROOT / page), f"{page}#{anchor}"


def test_every_page_stands_in_the_index() -> None:
    """A page that nobody finds is not read."""
    index = text_of("docs/README.md")
    for page in (ROOT / "docs").glob("*/*.md"):
        path = page.relative_to(ROOT / "docs").as_posix()
        assert path.startswith("decisions/0") or f"({path})" in index
    for page in (ROOT / "docs" / "decisions").glob("0*.md"):
        assert f"({page.name})" in text_of("docs/decisions/README.md")


def test_the_readme_quotes_the_type_checked_example() -> None:
    """What a reader copies is what mypy has seen."""
    (quoted,) = re.findall(r"```python\n(.*?)\n```", text_of("README.md"), re.DOTALL)
    assert quoted in text_of("examples/enqueue.py")


def test_every_table_of_the_ledger_has_a_row() -> None:
    """And no other one has."""
    named = re.findall(r"^\| `(\w+)` \|", text_of("docs/reference/ledger.md"), re.MULTILINE)
    assert set(named) == set(Base.metadata.tables)


def test_the_architecture_names_every_part_and_no_file_that_is_gone() -> None:
    """Packages and modules of sisgate, rooms of the workers, and files by their path."""
    page = text_of("docs/explanation/architecture.md")
    parts = {p.stem for p in (ROOT / "sisgate").iterdir() if p.name[0] not in "_."} - {"py"}
    assert [p for p in parts if f"`sisgate.{p}`" not in page] == []
    rooms = {p.stem for p in (ROOT / "workers").iterdir() if p.name[0] not in "_."}
    assert [r for r in rooms if not re.search(rf"`(?:workers[./])?{r}\b", page)] == []
    files = set(re.findall(r"`((?:sisgate|workers|tests)/[\w/.]+?)(?::(\w+))?`", page))
    for name, symbol in files:
        path = ROOT / name
        assert path.exists(), name
        if symbol:
            defined = re.search(
                rf"^\s*(?:def|class) {symbol}\b", path.read_text("utf-8"), re.MULTILINE
            )
            assert defined, f"{name} has no {symbol}"


def test_the_rooms_of_the_workers_hold_what_the_drawing_says() -> None:
    """Each module in a room's row, and where to look."""
    page = text_of("docs/explanation/architecture.md")
    _, rooms_on = page.split("### The rooms of `workers`\n")
    table = [line for line in rooms_on.split("\n## ")[0].splitlines() if line.startswith("|")]
    for row in table[2:]:
        names, holds, look = row.strip("|").split(" | ")
        rooms = re.findall(r"`(\w+)`", names)
        folders = [ROOT / "workers", *(ROOT / "workers" / room for room in rooms)]
        for module in re.findall(r"`(\w+)`", holds):
            assert any((f / f"{module}.py").exists() for f in folders), f"{names}: {module}"
        for module, symbol in re.findall(r"`(\w+)\.(?:\w+\.)?(\w+)`", look):
            (file,) = [f / f"{module}.py" for f in folders if (f / f"{module}.py").exists()]
            assert re.search(rf"(?:def|class) {symbol}\b", file.read_text("utf-8")), look


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_modules_and_names_of_the_package_exist(page: Path) -> None:
    """`sisgate.clock` is a module, `sisgate.clock.poll_until` a name in one."""
    for name in re.findall(r"`(sisgate(?:\.\w+)+)", page.read_text("utf-8")):
        if not name.startswith(NO_MODULES):
            assert resolves(name), name


def resolves(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        module, _, last = name.rpartition(".")
        return hasattr(importlib.import_module(module), last)
    return True


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ("", Gateway),
        ("jobs", Jobs),
        ("datasets", Datasets),
        ("configuration", Configuration),
        ("providers", Providers),
        ("keys", Keys),
        ("fleet", FleetStatus),
        ("privacy", Privacy),
        ("webhooks", Webhooks),
    ],
)
def test_every_method_of_the_gateway_is_documented(part: str, kind: type) -> None:
    """With its arguments, except where the row leaves them to another one."""
    page = text_of("docs/reference/gateway.md")
    (_, *sections) = re.split(r"^(?:## Methods|\*\*`gateway\.)", page, flags=re.MULTILINE)
    (section,) = [each for each in sections if each.startswith(f"{part}`" if part else "\n")]
    table = section.split("\n## ")[0]
    rows = dict(re.findall(r"^\| `(?:Gateway\.)?(\w+)\((.*?)\)` \|", table, re.MULTILINE))
    methods = {
        name: inspect.signature(method).parameters
        for name, method in inspect.getmembers(kind, callable)
        # What stands on the gateway, too, is explained there.
        if not name.startswith("_") and (kind is Gateway or not hasattr(Gateway, name))
    }
    assert set(rows) == set(methods)
    for name, told in rows.items():
        if told != "…":
            words = re.findall(r"(\w+)(?:=[^,]+)?(?:, |$)", told)
            assert words == [p for p in methods[name] if p != "self"], name


@pytest.mark.parametrize(
    ("page", "model"),
    [("docs/reference/sandbox.md", Knobs), ("docs/reference/celery-contract.md", SyncArguments)],
)
def test_every_knob_and_argument_has_a_row(page: str, model: type[Knobs | SyncArguments]) -> None:
    """Fields of the model, in a table's first column."""
    cells = re.findall(r"^\| (`.+?) \|", text_of(page), re.MULTILINE)
    told = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    assert set(model.model_fields) <= told


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_and_option_that_is_named_exists(page: Path) -> None:
    """`sisgate jobs list --dead` names a group, a command of it and one of its options."""
    root: Any = typer.main.get_command(app)
    for words in commands_in(page.read_text("utf-8")):
        command, rest = root, list(words)
        while rest and isinstance(command, TyperGroup) and re.fullmatch(r"[a-z][a-z-]*", rest[0]):
            assert rest[0] in command.commands, f"sisgate {' '.join(words)}"
            command = command.commands[rest.pop(0)]
        if getattr(command, "name", "") == "celery":
            continue  # the rest is Celery's
        known = {name for p in command.params for name in [*p.opts, *p.secondary_opts]}
        named = {re.sub(r"=.*", "", word) for word in rest if re.match(r"--?[a-z]", word)}
        assert named <= known | EVERYWHERE, f"sisgate {' '.join(words)}"


def commands_in(text: str) -> Iterator[list[str]]:
    """The words after `sisgate` in blocks of code and in code within a line."""
    fences = re.findall(r"^ *```(\w*)\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    code = [line for kind, body in fences if kind in {"", "sh"} for line in body.splitlines()]
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    for each in [*code, *re.findall(r"`([^`]+)`", prose)]:
        for command in re.split(r"[|;<>()]|&&| +# ", each.replace("\n", " ")):
            if found := re.match(r"\s*(?:docker compose exec \S+ )?sisgate ([a-z-].*)", command):
                yield found[1].split()


def test_every_action_of_the_audit_log_has_a_row() -> None:
    """By its first word: `keys:…` is a row for all that is done about keys."""
    code = "".join(
        p.read_text("utf-8") for n in ("sisgate", "workers") for p in (ROOT / n).rglob("*.py")
    )
    written = set(
        re.findall(r'(?:action=|^[A-Z_]+ = )f?"([a-z]+):(?:[a-z]+|\{)', code, re.MULTILINE)
    )
    told = set(
        re.findall(r"`([a-z]+):[a-zA-Z:…]+`[^|]*\|", text_of("docs/reference/audit-events.md"))
    )
    assert len(written) > 5
    assert written <= told


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_in_a_page_is_python(page: Path) -> None:
    """It parses; what it does is tested elsewhere."""
    for block in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
        compile(block, str(page), "exec")
