"""One sandbox for all tests here, brought back to its start for each, and a plain client."""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from sisgate.sandbox import DistrictSpec, RunningDistrict, SandboxProcess, SandboxSpec

FORM = "application/x-www-form-urlencoded"


@dataclass
class Answer:
    """One answer: status, headers by lower-case name, and body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Client:
    """Speaks to one district over one keep-alive connection, with a token once it has one."""

    district: RunningDistrict
    token: str = ""
    connection: HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        origin = urlsplit(self.district.url)
        self.connection = HTTPConnection(origin.hostname or "", origin.port, timeout=30)

    def send(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: str = ""
    ) -> Answer:
        """Send one request; whatever goes wrong on the wire is raised."""
        held = {"authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            self.connection.request(method, path, body or None, {**held, **(headers or {})})
            answer = self.connection.getresponse()
            read = answer.read()
        except Exception:
            self.connection.close()
            raise
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, read)

    def get(self, path: str) -> Answer:
        return self.send("GET", path)

    def roster(self, resource: str, **query: object) -> Answer:
        """Ask for a OneRoster list."""
        base = urlsplit(self.district.oneroster_base or "").path
        text = "&".join(f"{name}={quote(str(value))}" for name, value in query.items())
        return self.get(f"{base}/{resource}?{text}")

    def ask_token(self, *, secret: str | None = None, body: str = "") -> Answer:
        """Send a token request by Basic and form."""
        district = self.district
        pair = f"{district.client_id}:{secret or district.client_secret}".encode()
        headers = {"authorization": f"Basic {b64encode(pair).decode()}", "content-type": FORM}
        path = district.token_url[len(district.url) :]
        return self.send("POST", path, headers, body or "grant_type=client_credentials")

    def sign_in(self) -> "Client":
        self.token = self.ask_token().json["access_token"]
        return self


@pytest.fixture(scope="session")
def running() -> Iterator[SandboxProcess]:
    """A sandbox of one small district per kind, without quotas."""
    kinds = ("powerschool", "infinite_campus", "skyward", "oneroster")
    districts = tuple(DistrictSpec(k, k, students=230, seed=7, quota=None) for k in kinds)  # type: ignore[arg-type]  # the words are kinds
    with SandboxProcess(SandboxSpec(districts)) as process:
        yield process


@pytest.fixture
def sandbox(running: SandboxProcess) -> SandboxProcess:
    """The sandbox as at its start."""
    for name in running.districts:
        running.reset(name)
    return running


@pytest.fixture
def client(sandbox: SandboxProcess) -> Iterator[Callable[[str], Client]]:
    """Return signed-in clients by district name."""
    opened: list[Client] = []

    def sign_in(name: str) -> Client:
        opened.append(Client(sandbox.districts[name]).sign_in())
        return opened[-1]

    yield sign_in
    for each in opened:
        each.connection.close()


SignIn = Callable[[str], Client]
