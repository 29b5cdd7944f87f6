"""One running stack for all browser tests, a Chromium, and visitors with a role each."""

import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)

from sisgate import Gateway
from sisgate.sandbox.process import SandboxProcess
from sisgate.sandbox.spec import DistrictSpec, SandboxSpec
from testbed.flower import FlowerPages
from testbed.redis import RedisServer
from testbed.stack import Stack, wait_until
from testbed.web_service import WebService

FIND = Path(__file__).parents[2] / ".ci" / "find-chromium"
STUDENTS = 60
DISTRICTS = (
    DistrictSpec("lincoln", "oneroster", students=STUDENTS, quota=None),
    DistrictSpec("roosevelt", "powerschool", students=STUDENTS, quota=None),
)
OPTIONS = {
    "lincoln": {"limit": "2000/h", "burst": 200, "page_size": 20},
    "roosevelt": {"limit": "1000/h", "burst": 200},
}
WATCH = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error("CSP", event.violatedDirective, event.blockedURI, event.sourceFile));
"""

CONSOLE_FOR_FLOWER = "https://console.example"
"""Where Flower believes the console to be; the console knows where Flower is."""

Visit = Callable[..., Page]

# Where the machine is busy, the console renews its pages less often than every few seconds.
expect.set_options(timeout=30_000)


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Redis, a worker, beat, and two simulated districts."""
    folder, redis = tmp_path_factory.mktemp("stack"), RedisServer()
    try:
        with SandboxProcess(SandboxSpec(districts=DISTRICTS)) as sandbox:
            url = f"sqlite:///{folder / 'ledger.sqlite3'}"
            made = Stack(folder, sandbox, redis_url=redis.url, database_url=url, options=OPTIONS)
            made.gateway.configuration.apply(made.config, actor="test")
            made.start()
            try:
                yield made
            finally:
                made.stop()
    finally:
        redis.stop()


@pytest.fixture(scope="package")
def service(stack: Stack, flower: FlowerPages) -> Iterator[WebService]:
    """The web service, which requires tokens."""
    web = stack.settings.web.model_copy(update={"limit": "100000/m"})
    settings = stack.settings.model_copy(
        update={"access": "tokens", "web": web, "flower_url": flower.url}
    )
    gateway = Gateway(settings, database=stack.gateway.context.database)
    with WebService(gateway) as running:
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The Chromium of this machine, without a window.

    It ends with the file: as long as Playwright runs, its event loop runs in this thread, and
    whatever test comes next could not start one.
    """
    found = subprocess.run([str(FIND)], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    with sync_playwright() as playwright:
        # Root in a container has no sandbox of Chromium's; the pages are our own.
        browser = playwright.chromium.launch(
            executable_path=found.stdout.strip(), args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.fixture
def trouble() -> Iterator[list[str]]:
    """What the browser complained about, which must be nothing: CSP, scripts, missing files."""
    complaints: list[str] = []
    yield complaints
    assert complaints == []


@pytest.fixture(autouse=True)
def providers_resumed(stack: Stack) -> Iterator[None]:
    """After each test all providers take calls again, so that the next one does not wait."""
    yield
    for name in OPTIONS:
        stack.gateway.providers.control(name).resume(actor="test")


@pytest.fixture
def visit(
    chromium: Browser, service: WebService, stack: Stack, trouble: list[str]
) -> Iterator[Visit]:
    """Return a function that gives a page to a visitor with a role, logged in."""
    contexts: list[BrowserContext] = []

    def come(
        role: str | None = "admin", *others: str, width: int = 1280, theme: str = "light"
    ) -> Page:
        context = chromium.new_context(
            base_url=service.url, viewport={"width": width, "height": 900},
            color_scheme="dark" if theme == "dark" else "light", reduced_motion="reduce",
        )  # fmt: skip
        contexts.append(context)
        context.add_init_script(WATCH)
        context.set_default_timeout(20_000)
        page = context.new_page()
        page.on("console", lambda message: note_trouble(trouble, message))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        if role is not None:
            token = stack.gateway.tokens.add(f"{role}-visitor", [role, *others]).token
            assert token is not None
            page.goto("/login")
            page.get_by_label("Token").fill(token.get_secret_value())
            page.get_by_role("button", name="Log in").click()
            page.wait_for_url("**/")
        return page

    yield come
    for context in contexts:
        context.close()


def note_trouble(trouble: list[str], message: ConsoleMessage) -> None:
    """Note what a browser has complained about."""
    # A refused page is an answer that tests look for; a part of a page that is missing is not.
    is_page = (
        "Failed to load resource" in message.text and "/static/" not in message.location["url"]
    )
    if message.type in {"error", "warning"} and not is_page:
        trouble.append(message.text)


@pytest.fixture(scope="package")
def flower(stack: Stack) -> FlowerPages:
    """Flower on the same fleet, as it starts without any option of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return start_flower(stack, port)


def start_flower(stack: Stack, port: int) -> FlowerPages:
    """Start Flower and wait until it answers."""
    stack.spawn("flower", f"--port={port}", SISGATE_CONSOLE_URL=CONSOLE_FOR_FLOWER)
    pages = FlowerPages(f"http://127.0.0.1:{port}", stack.folder)
    wait_until(lambda: pages.get("/healthcheck")[0] == 200, "Flower")
    return pages


@pytest.fixture
def flower_page(chromium: Browser, flower: FlowerPages) -> Iterator[Page]:
    """A browser that is logged in to Flower."""
    user, _, password = flower.login_file.read_text().strip().partition(":")
    context = chromium.new_context(
        base_url=flower.url, http_credentials={"username": user, "password": password}
    )
    context.set_default_timeout(20_000)
    yield context.new_page()
    context.close()
