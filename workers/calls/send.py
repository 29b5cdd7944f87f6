"""One request of a call: authorized by one key after another, sent, and its permit used up.

No process caches a decrypted key: every call reads the ledger, so a change takes effect at once.
"""

from contextlib import suppress
from functools import partial

from sisgate import transport
from sisgate.audit import log as audit
from sisgate.credentials.keys import open_key
from sisgate.credentials.usage import Use
from sisgate.domain.states import KeyState
from sisgate.errors import BrokerUnavailable, CredentialError, NoPermit, SisgateError, TokenRefused
from sisgate.ledger import keys
from sisgate.ledger.schema import Key
from sisgate.logs import get_logger
from sisgate.providers.http import HttpRequest
from sisgate.transport import AuthBase
from workers.admission import permits
from workers.admission.permits import LEAST_SECONDS
from workers.calls.context import CallContext, Reply, UsedToken

log = get_logger()


class Keyring:
    """The keys of a provider for one attempt of a call.

    A call that probes a key uses only that key, and says nothing about others.
    """

    def __init__(self, call: CallContext) -> None:
        self._runtime = call.runtime
        self._config = call.config
        self._call_id = call.claim.call.id
        self._only: str | None = (call.claim.call.target or {}).get("key")
        self._keys: list[Key] = []
        self._current: Key | None = None
        self._refused: dict[str, str] = {}
        self._surely: set[str] = set()
        self._uses: list[Use] = []

    def authorise(self) -> tuple[AuthBase | None, UsedToken | None]:
        """Return the request's authorization, and its access token if there is one.

        A key whose token is refused is skipped. Raises `TokenRefused` when none is left,
        `CredentialError` if there is none or the best one cannot be decrypted, and whatever
        `TokenCache.get` raises.
        """
        if self._config.auth_method == "none":
            return None, None
        last: TokenRefused | None = None
        self._keys = self._read()
        for key in self._keys:
            if key.id in self._refused:
                continue
            self._current = key
            opened = open_key(self._runtime.vault, key)
            if self._config.auth_method == "oauth1":
                now = self._runtime.clock.now()
                return transport.oauth1(opened, self._config.oauth1_signature, now), None
            if self._config.auth_method == "bearer":
                return transport.static_bearer(opened), None
            try:
                token = self._runtime.tokens.get(self._config, opened)
            except TokenRefused as error:
                self._refused[key.id] = error.message
                self._surely.add(key.id)
                self._uses.append(Use(key.id, error.detail.get("status"), refused=True))
                last = error
                continue
            forget = partial(self._runtime.tokens.forget, self._config, opened, token)
            return transport.Bearer(token.value), UsedToken(token.is_new, forget)
        raise last or self._none_left()

    @property
    def current(self) -> str | None:
        """The id of the key last used, None before the first or if none is needed."""
        return self._current.id if self._current is not None else None

    def note(self, reply: Reply, *, refused: str | None) -> bool:
        """Record the reply to a request with the current key; return whether another key is left.

        `refused` is the provider's message if it refused the key.
        """
        if self._current is None or not reply.is_authorised:
            return False
        key_id = self._current.id
        if reply.was_sent:
            self._uses.append(Use(key_id, reply.status, refused=refused is not None))
        if refused is None:
            return False
        self._refused[key_id] = refused
        return self._only is None and any(key.id not in self._refused for key in self._keys)

    def settle(self, *, was_accepted: bool, is_cut_short: bool) -> None:
        """Count the requests, and mark the keys that the provider refused as suspect.

        If it refused every key (`was_accepted` is false), the request may be at fault: then a key
        that was checked recently is not marked. `is_cut_short`: not all were tried.
        """
        with suppress(BrokerUnavailable):
            if self._uses:
                self._runtime.usage.count(self._uses, self._runtime.clock.now())
        if self._only is not None:
            return
        now = self._runtime.clock.now()
        for key in self._keys:
            if key.id not in self._refused or key.suspect_at is not None:
                continue
            is_known = key.checked_at is not None and (
                now - key.checked_at < self._config.rotation.check_every
            )
            if key.id in self._surely or was_accepted or is_cut_short or not is_known:
                self._suspect(key, self._refused[key.id])

    def _read(self) -> list[Key]:
        with self._runtime.database.read() as session:
            if self._only is None:
                now = self._runtime.clock.now()
                return keys.usable_keys(session, self._config.name, now)
            key = session.get(Key, self._only)
        if key is None or KeyState(key.state).is_final:
            raise CredentialError(
                f"Key {self._only[:8]} of {self._config.name} was to be probed, but is gone."
            )
        return [key]

    def _suspect(self, key: Key, reason: str) -> None:
        now = self._runtime.clock.now()
        with self._runtime.database.write() as session:
            if not keys.suspect(session, key.id, reason, now):
                return
            audit.record(
                session,
                now,
                actor="worker",
                action="keys:key:suspect",
                subject=self._config.name,
                reason=reason,
                key=key.id,
                slot=key.slot,
                call=self._call_id,
            )
        log.warning(
            "key_suspect", provider=self._config.name, slot=key.slot, key=key.id, call=self._call_id
        )

    def _none_left(self) -> CredentialError:
        return CredentialError(
            f"Provider {self._config.name} refused every key. `sisgate keys list` shows them.",
            provider=self._config.name,
        )


def send(call: CallContext, request: HttpRequest, ends_at: float, keyring: Keyring) -> Reply:
    """Send one request with the best key left; an error is in the reply.

    `request` is the call's own, or a replacement; it has until `ends_at`.
    """
    runtime, config, permit, url = call.runtime, call.config, call.permit, call.route.url
    latest = permit.ends_at(config)
    try:
        with permits.checking(runtime, config, permit):
            authorisation, token = keyring.authorise()
    except SisgateError as error:
        return Reply(url, error=error, key=keyring.current, is_authorised=False)
    begun = runtime.clock.monotonic()
    most = min(config.timeout_seconds, latest - begun, ends_at - begun)
    try:
        with permits.checking(runtime, config, permit):
            response = runtime.transport.send(
                url,
                request,
                authorisation,
                config.network,
                timeout_seconds=max(LEAST_SECONDS, most),
                max_body_bytes=config.max_body_mb * 1024 * 1024,
                must_end_at=latest,
            )
    except NoPermit as late:
        # A token fetch, or a suspended process, took too long: nothing has left this machine.
        return Reply(url, error=late, key=keyring.current, is_authorised=False)
    except SisgateError as error:
        took = runtime.clock.monotonic() - begun
        return Reply(url, error=error, key=keyring.current, took_seconds=took)
    took = runtime.clock.monotonic() - begun
    return Reply(url, response=response, key=keyring.current, token=token, took_seconds=took)


def settle(call: CallContext, reply: Reply) -> float:
    """Use up the permit, or give it back; return the seconds the provider asked us to wait."""
    if reply.was_sent:
        call.sent += 1
        return permits.learn(call.runtime, call.config, call.permit, reply.response)
    return permits.hand_back(call.runtime, call.config, call.permit)
