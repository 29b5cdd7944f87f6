"""Real processes around districts whose keys come and go."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from sisgate.domain.secret import Secret
from sisgate.domain.states import KeyState
from sisgate.gateway.key_info import KeyInfo
from sisgate.gateway.keys import ProviderKeys
from sisgate.ledger.keys import usable_keys
from sisgate.sandbox.process import RunningDistrict, SandboxProcess
from sisgate.sandbox.spec import AcceptedCredential, DistrictSpec, SandboxSpec
from testbed.postgres import PostgresServer
from testbed.redis import RedisServer
from testbed.stack import CLOCK, Stack, running

SPARE = AcceptedCredential("spare", "spare-secret")
NAMES = {"powerschool": "powerschool", "oauth1": "oneroster", "skyward": "skyward"}
ROTATION = {
    "rotation.source": "sandbox",
    "rotation.source_seconds": 5,
    "rotation.overlap": 3,
    "rotation.check_every": 0.3,
    "rotation.retry_after": 5,
    "timeout_seconds": 3,
}


def district(name: str) -> DistrictSpec:
    """A district that accepts two keys."""
    first = AcceptedCredential(f"sandbox-{name}", f"sandbox-secret-{name}")
    knobs = {"auth": "oauth1"} if name == "oauth1" else {}
    return DistrictSpec(
        name,
        NAMES[name],  # type: ignore[arg-type]
        students=20,
        quota=None,
        credentials=(first, SPARE),
        knobs=knobs,
    )


@dataclass(frozen=True)
class Keyed:
    """One provider of the stack, and what is asked of its keys."""

    stack: Stack
    name: str

    @property
    def keys(self) -> ProviderKeys:
        """What a person does."""
        return self.stack.gateway.keys.of(self.name)

    @property
    def district(self) -> RunningDistrict:
        """The provider itself."""
        return self.stack.sandbox.districts[self.name]

    def begin(self) -> None:
        """Go back to one active key in the primary slot and none else."""
        for key in self.keys.list():
            self.keys.revoke(key.id, actor="test")
        self.stack.fresh(self.name)
        again = self.stack.sandbox.spec.districts
        for pair in next(d.accepted for d in again if d.name == self.name):
            words = {"client_id": pair.client_id, "client_secret": pair.client_secret}
            self.district.control("POST", "/keys/accept", words)
        if self.name == "oauth1":
            self.stack.sandbox.knobs(self.name, auth="oauth1")
        first = self.district
        self.keys.add(first.client_id, Secret(first.client_secret), actor="test")

    def add_spare(self) -> KeyInfo:
        """Store the second key that the provider accepts."""
        secret = Secret(SPARE.client_secret)
        return self.keys.add(SPARE.client_id, secret, slot="secondary", actor="test")

    def refuse(self, client_id: str) -> None:
        """Let the provider accept a key no longer."""
        self.district.control("POST", "/keys/revoke", {"client_id": client_id})

    def one(self, slot: str, state: KeyState = KeyState.ACTIVE) -> KeyInfo:
        """Return the only key of a slot in a state."""
        (found,) = [k for k in self.keys.list() if k.slot == slot and k.state is state]
        return found

    def best(self) -> str:
        """Return the client id that the next call uses."""
        with self.stack.gateway.context.database.read() as session:
            return usable_keys(session, self.name, CLOCK.now())[0].client_id


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def keyed_stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """A stack of its own: its districts' keys are refused and replaced."""
    folder = tmp_path_factory.mktemp("keys")
    url = f"sqlite:///{folder / 'ledger.sqlite3'}"
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.url(server.create_database())
    options = {name: {**ROTATION} for name in NAMES}
    options["oauth1"]["auth"] = "oauth1"
    redis = RedisServer()
    try:
        with SandboxProcess(SandboxSpec(tuple(district(name) for name in NAMES))) as sandbox:
            made = Stack(folder, sandbox, redis_url=redis.url, database_url=url, options=options)
            with running(made):
                yield made
    finally:
        redis.stop()


@pytest.fixture(params=list(NAMES))
def provider(keyed_stack: Stack, request: pytest.FixtureRequest) -> Keyed:
    """Each way of authorising: with tokens, and with a signature."""
    made = Keyed(keyed_stack, request.param)
    made.begin()
    return made


@pytest.fixture
def powerschool(keyed_stack: Stack) -> Keyed:
    """One provider."""
    made = Keyed(keyed_stack, "powerschool")
    made.begin()
    return made
