"""`sisgate serve`: the HTTP service until Ctrl-C."""

from typing import Annotated

import typer

from sisgate.cli.app import Commands
from sisgate.cli.invocation import Invocation, Needs
from sisgate.start_up import gc_seldom, require_extras

app = Commands()

PORT = 8750


@app.add(
    "sisgate serve",
    "sisgate serve --host 0.0.0.0 --port 80",
    note="How to use it: docs/how-to/serve-the-api.md",
    panel="Run",
    needs=Needs.MACHINE,
)
def serve(
    invocation: Invocation,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for a free one.")] = PORT,
) -> None:
    """Serve the HTTP API and the console until Ctrl-C."""
    require_extras("sisgate serve", "web")
    from sisgate.logs import lines
    from sisgate.web.server import listening

    settings = invocation.settings
    lines.configure("web", settings.log_format, settings.log_level.upper())
    with listening(settings, host, port) as service:
        address = f"http://{f'[{host}]' if ':' in host else host}:{service.port}"
        invocation.output.facts(
            [("api", f"{address}/v1"), ("access", settings.access)],
            json={"event": "ready", "url": address, "access": settings.access},
        )
        gc_seldom()
        service.serve_until_stopped()
    invocation.output.json({"event": "stopped"})
