"""`sisgate up`: the embedded stack until Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from sisgate.cli.app import Commands
from sisgate.cli.formats import child_line, commands_of
from sisgate.cli.invocation import Invocation, Needs
from sisgate.cli.presenter import Presenter, to_json
from sisgate.settings.files import sample_file
from sisgate.stack.interrupts import interrupts
from sisgate.start_up import has_extra, require_extras

if TYPE_CHECKING:
    from sisgate.settings import ProviderConfig, Settings
    from sisgate.stack.embedded_stack import EmbeddedStack

app = Commands()


@app.add(
    "sisgate up",
    "sisgate up --workers 8 --data-dir ./data",
    note="SISGATE_BROKER_URL and SISGATE_DATABASE_URL select another Redis and database.",
    panel="Run",
    needs=Needs.MACHINE,
)
def up(
    invocation: Invocation,
    workers: Annotated[
        int, typer.Option("--workers", "-w", min=1, max=256, help="Number of calls at a time.")
    ] = 4,
    flower: Annotated[bool, typer.Option(help="Start Flower, a monitor in the browser.")] = True,
    web: Annotated[
        bool | None,
        typer.Option(
            help="Serve the HTTP API and the console.", show_default="where its extra is installed"
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show all log lines.")] = False,
) -> None:
    """Run Redis, workers, beat, Flower, the HTTP API and its console here until Ctrl-C."""
    require_extras("sisgate up", "worker", *(["web"] if web else []))
    with_web = has_extra("web") if web is None else web
    from sisgate.logs.lines import is_pretty, pretty
    from sisgate.stack.embedded_stack import EmbeddedStack

    output = invocation.output
    settings = invocation.settings

    def show(name: str, event: Mapping[str, Any]) -> None:
        if is_pretty(settings.log_format):
            output.note(child_line(name, pretty(event)))
        else:
            output.err.print(Text(to_json(event)), soft_wrap=True)

    with interrupts() as stops:
        stack = EmbeddedStack(settings, invocation.clock, on_event=show, verbose=verbose)
        stack.start(processes=workers, with_flower=flower, with_web=with_web)
        try:
            # A configured Redis may start later: its silence is reported at once.
            if stack.silent_redis is not None or stack.await_up(lambda: stops.none):
                _announce(settings, stack, output)
            stack.run(lambda: stops.none)
            if stops.first:
                stack.tell("stopping after the calls in flight. Ctrl-C again stops at once.")
        finally:
            stack.stop(lambda: stops.again)
    stack.tell("stopped. Accepted work continues after the next start.")
    output.json({"event": "stopped"})


def _announce(settings: Settings, stack: EmbeddedStack, output: Presenter) -> None:
    flower = stack.flower
    output.show(Text("sisgate waits for Redis" if stack.silent_redis else "sisgate is up", "bold"))
    output.facts(
        _about(settings, stack),
        json={
            "event": "ready",
            "data_dir": settings.data_dir,
            "config": settings.config_file,
            "providers": list(stack.providers),
            "flower": {"url": flower.url, "password_file": flower.password_file}
            if flower
            else None,
            "api": f"http://127.0.0.1:{stack.web_port}/v1" if stack.web_port else None,
            "console": f"http://127.0.0.1:{stack.web_port}/" if stack.web_port else None,
            "redis": stack.silent_redis is None,
        },
    )
    output.show(Text("Ctrl-C stops it.", "dim"))
    if stack.silent_redis is not None:
        output.warn(
            f"Redis does not respond ({stack.silent_redis}), so no work runs until it does. Check "
            "SISGATE_BROKER_URL (or broker_url). Without a URL, `up` starts its own Redis."
        )


def _about(settings: Settings, stack: EmbeddedStack) -> list[tuple[str, object]]:
    sisgate = commands_of(settings)
    rows: list[tuple[str, object]] = [
        ("data", str(settings.data_dir)),
        ("config", str(settings.config_file or "none")),
    ]
    if stack.web_port:
        rows += [
            ("console", f"http://127.0.0.1:{stack.web_port}/"),
            ("api", f"http://127.0.0.1:{stack.web_port}/v1"),
        ]
    if stack.flower:
        rows += [
            ("flower", stack.flower.url),
            ("", f"user and password: {stack.flower.password_file}"),
        ]
    if stack.made_master_key:
        rows.append(("key", f"created {settings.master_key_path}: keep a copy in a safe place"))
    return [*rows, *next_steps(settings, stack.providers, sisgate, stack.has_key)]


def next_steps(
    settings: Settings,
    providers: Mapping[str, ProviderConfig],
    sisgate: str,
    has_key: Callable[[str], bool],
) -> list[tuple[str, str]]:
    """Return commands that come next, by what they are for."""
    token = []
    if settings.access == "tokens":
        made = f"{sisgate} tokens add NAME --role admin"
        token = [("token", f'export SISGATE_TOKEN=…   # access is "tokens"; {made} makes one')]
    if not providers:
        file = settings.config_file
        apply = "saving it applies it" if file else f"then {sisgate} config apply sisgate.toml"
        return [
            *token,
            ("next", "no provider is configured yet"),
            ("add", f"{sisgate} providers add lincoln kind=powerschool url=URL limit=1000/h"),
            ("or", f"write {file or 'sisgate.toml'} as in {sample_file()}; {apply}"),
            ("", "No SIS to connect to? Try `sisgate demo` or `sisgate sandbox`."),
        ]
    name, config = next(iter(providers.items()))
    needs_key = config.auth_method != "none" and not has_key(name)
    return [
        *token,
        *([("keys", f"{sisgate} keys add {name}")] if needs_key else []),
        ("enqueue", f"{sisgate} sync {name} students --wait"),
        ("env", f"{sisgate} env   # environment for other apps on this machine"),
        ("python", "from sisgate import Gateway"),
        ("", f'job = Gateway.from_env().sync("{name}", "students")'),
    ]
