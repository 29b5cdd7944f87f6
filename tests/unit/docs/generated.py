"""The parts of the documentation that are generated from the code: `make docs` writes them.

Each stands between two marks in its page. `test_generated.py` fails where a page has an old one.
"""

import inspect
import re
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import typer
from rich.text import Text

from sisgate import Gateway, errors
from sisgate.cli.main import app
from sisgate.domain.call_results import CallResult
from sisgate.domain.response_class import RULES, Outcome
from sisgate.monitoring.catalogue import CATALOGUE
from sisgate.problem_details import STATUSES, title_of
from sisgate.settings import load_settings
from sisgate.web import create_app

DOCS = Path(__file__).parents[3] / "docs"
_BREAKER = {Outcome.SUCCESS: "success", Outcome.FAILURE: "failure", Outcome.NEUTRAL: "not counted"}
_EVERYWHERE = {"as_json", "config", "data_dir", "help"}
_KINDS = {"int": "NUMBER", "float": "NUMBER"}


def commands() -> str:
    """Every command with its arguments, options and examples, as `--help` has them."""
    root: Any = typer.main.get_command(app)
    sections = []
    for name, command in sorted(root.commands.items()):
        sections.append(_section(f"sisgate {name}", command, level=3))
        for child, inner in getattr(command, "commands", {}).items():
            sections.append(_section(f"sisgate {name} {child}", inner, level=4))
    return "\n".join(sections)


def answers() -> str:
    """What a response of a provider means for limiter, breaker, key and call."""
    lines = ["| response | limiter | circuit breaker | key | the call |", "|---|---|---|---|---|"]
    for kind, rule in RULES.items():
        cells = (
            kind.value, rule.pace.text, _BREAKER[rule.breaker], rule.key.value, rule.call.value,
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def error_tree() -> str:
    """The tree that `sisgate.errors` draws at its top."""
    tree = re.search(r"SisgateError\n.*JobExpired", inspect.getdoc(errors) or "", re.DOTALL)
    assert tree is not None
    return f"```\n{inspect.cleandoc(tree[0])}\n```\n"


def problems() -> str:
    """Every error's code, class and HTTP status; each code is an anchor."""
    lines = ["| code | error | status | |", "|---|---|---|---|"]
    for error in errors_of_the_tree():
        status = next(STATUSES[base] for base in error.__mro__ if base in STATUSES)
        anchor = f'<a id="{error.code}"></a>`{error.code}`'
        lines.append(f"| {anchor} | `{error.__name__}` | {status} | {title_of(error)} |")
    return "\n".join(lines) + "\n"


def errors_of_the_tree() -> list[type[errors.SisgateError]]:
    """All classes of the tree, by code."""
    found = [
        each
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, errors.SisgateError)
    ]
    return sorted(found, key=lambda error: error.code)


def operations() -> str:
    """Every operation of the HTTP service."""
    with (
        TemporaryDirectory() as folder,
        closing(Gateway(load_settings(data_dir=Path(folder)))) as gateway,
    ):
        paths = create_app(gateway).openapi()["paths"]
    lines = ["| | operation | right | |", "|---|---|---|---|"]
    for path, methods in paths.items():
        for method, about in methods.items():
            where = about.get("x-sisgate-where", "")
            right = f"{about['x-sisgate-action']}, {where}" if where else "none"
            cells = (f"`{method.upper()} {path}`", f"`{about['operationId']}`", right)
            lines.append(f"| {' | '.join(cells)} | {about['summary']} |")
    return "\n".join(lines) + "\n"


def metrics() -> str:
    """Every metric of the catalogue."""
    lines = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for metric in CATALOGUE:
        name = metric.samples[0] if metric.kind == "counter" else metric.name
        cells = (f"`{name}`", metric.kind, ", ".join(metric.labels), metric.text)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def results() -> str:
    """What becomes of a call, and what it says of the provider."""
    lines = ["| result | meaning | sent | availability |", "|---|---|---|---|"]
    told = re.findall(
        r'    [A-Z_]+ = "(\w+)"\n    """(.*?)"""', inspect.getsource(CallResult), re.DOTALL
    )
    assert [value for value, _ in told] == [result.value for result in CallResult]
    for value, text in told:
        result = CallResult(value)
        counts = "good" if result.is_good else "bad" if result.is_bad else "not counted"
        cells = (f"`{value}`", " ".join(text.split()), "yes" if result.was_sent else "no", counts)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


# The page and the name of the part in it.
PARTS = {
    ("reference/cli.md", "commands"): commands,
    ("reference/errors.md", "answers"): answers,
    ("reference/errors.md", "problems"): problems,
    ("reference/errors.md", "tree"): error_tree,
    ("reference/http-api.md", "operations"): operations,
    ("reference/monitoring.md", "metrics"): metrics,
    ("reference/monitoring.md", "results"): results,
}


def filled(page: str, part: str, text: str) -> str:
    """Return the page with a new text between the marks of the part."""
    begin, end = f"<!-- generated: {part} -->\n", f"<!-- end: {part} -->"
    before, _, rest = page.partition(begin)
    assert end in rest, f"the page lacks the marks of {part}"
    return before + begin + text + end + rest.partition(end)[2]


def _section(name: str, command: Any, *, level: int) -> str:
    shown = [p for p in command.params if p.name not in _EVERYWHERE and not _hidden(p)]
    arguments = [p for p in shown if p.param_type_name == "argument"]
    options = [p for p in shown if p.param_type_name == "option"]
    usage = " ".join([name, *map(_usage, arguments), *(["[OPTIONS]"] if options else [])])
    parts = [f"{'#' * level} {name}\n{_plain(command.help)}\n"]
    if arguments or options:
        parts.append(f"```\n{usage}\n```\n")
    if rows := [_row(p) for p in [*arguments, *options]]:
        parts.append("\n".join(["| | | |", "|---|---|---|", *rows]) + "\n")
    if command.epilog:
        parts.append(_epilog(command.epilog))
    return "".join(parts)


def _hidden(parameter: Any) -> bool:
    return bool(getattr(parameter, "hidden", False))


def _usage(argument: Any) -> str:
    name = _metavar(argument)
    name = f"{name} …" if argument.nargs == -1 else name
    return name if argument.required else f"[{name}]"


def _metavar(parameter: Any) -> str:
    if parameter.metavar:
        name = str(parameter.metavar).removesuffix("...")
        name = re.sub(r"^\[(.*)\]$", r"\1", name).removesuffix("...")
        return name.replace("|", " or ")
    kind = parameter.type_descriptor
    if kind.is_choice:
        return " or ".join(str(getattr(each, "value", each)) for each in kind.choices)
    if parameter.param_type_name == "argument":
        return str(parameter.name).rstrip("s").upper()
    return "PATH" if kind.is_path else _KINDS.get(parameter.bare_type(), "TEXT")


def _row(parameter: Any) -> str:
    is_option = parameter.param_type_name == "option"
    if is_option:
        names = ", ".join(f"`{n}`" for n in [*parameter.opts, *parameter.secondary_opts])
        value = "" if parameter.is_flag else _metavar(parameter)
    else:
        names, value = f"`{_metavar(parameter)}`", ""
    text = _plain(getattr(parameter, "help", "") or "")
    default = parameter.default
    if parameter.required and is_option:
        text += " Required."
    elif isinstance(default, str | int | float) and not isinstance(default, bool) and default != "":
        text += f" Default: {getattr(default, 'value', default)}."
    return f"| {names} | {value} | {text.strip()} |".replace("  ", " ")


def _epilog(text: str) -> str:
    lines = [_plain(line).strip() for line in inspect.cleandoc(text).splitlines()]
    examples = [line for line in lines if line.startswith(("sisgate ", "SISGATE_"))]
    notes = [line for line in lines if line and line not in examples and line != "Examples:"]
    shown = "```\n" + "\n".join(examples) + "\n```\n" if examples else ""
    return shown + ("\n".join(notes) + "\n" if notes else "")


def _plain(text: str | None) -> str:
    """Return a help text without the markup of rich, and nothing that a table takes for a cell."""
    text = re.sub(r"\s+", " ", (text or "").split("\f")[0])
    return Text.from_markup(text).plain.strip().replace("|", "\\|") if text.strip() else ""


def main() -> None:
    """Write all parts into their pages."""
    for (name, part), generate in PARTS.items():
        page = DOCS / name
        page.write_text(filled(page.read_text("utf-8"), part, generate()), "utf-8")


if __name__ == "__main__":
    main()
