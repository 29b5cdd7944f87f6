"""The keys of providers: adding, rotating and revoking them. No answer has a secret."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Response
from starlette.concurrency import run_in_threadpool

from sisgate.web.deps import ACTOR, Caller, ProviderName
from sisgate.web.rights import needs
from sisgate.web.schemas.keys import (
    KeyDocument,
    KeyOrder,
    KeysDocument,
    KeyUseDocument,
    KeyUses,
    SlotOrder,
)
from sisgate.web.schemas.providers import BecauseOrder

router = APIRouter(prefix="/v1", tags=["keys"])

KeyId = Annotated[str, Path(description="The id of a key.", max_length=36)]
AT = "/providers/{provider}/keys"


@router.get("/keys", openapi_extra=needs("keys", "anywhere"), summary="List keys of all providers")
async def list_keys(caller: Caller, all_states: bool = False) -> KeysDocument:
    """Return the keys of the providers whose keys the caller may manage."""
    keys = await run_in_threadpool(partial(caller.keys.list, all_states=all_states))
    return KeysDocument(keys=[KeyDocument.of(each) for each in keys])


@router.get(AT, openapi_extra=needs("keys", "provider"), summary="List a provider's keys")
async def list_provider_keys(
    provider: ProviderName, caller: Caller, all_states: bool = False
) -> KeysDocument:
    """Return its keys, newest first; with `all_states` also those that have ended."""
    keys = await run_in_threadpool(partial(caller.keys.list, provider, all_states=all_states))
    return KeysDocument(keys=[KeyDocument.of(each) for each in keys])


@router.get(f"{AT}/usage", openapi_extra=needs("keys", "provider"), summary="Show keys' use")
async def get_key_usage(provider: ProviderName, caller: Caller) -> KeyUses:
    """Return how each key was used, newest first."""
    uses = await run_in_threadpool(lambda: caller.keys.of(provider).usage())
    return KeyUses(keys=[KeyUseDocument.of_use(each.as_dict()) for each in uses])


@router.post(
    AT, status_code=201, openapi_extra=needs("keys", "provider"), summary="Add or stage a key"
)
async def add_key(provider: ProviderName, order: KeyOrder, caller: Caller) -> KeyDocument:
    """Store a key and use it at once, or stage it for the next rotation."""

    def add() -> KeyDocument:
        keys = caller.keys.of(provider)
        store = keys.stage if order.stage else keys.add
        info = store(
            order.client_id, order.secret, slot=order.slot, expires_at=order.expires_at,
            actor=ACTOR, reason=order.reason,
        )  # fmt: skip
        return KeyDocument.of(info)

    return await run_in_threadpool(add)


@router.post(
    f"{AT}/rotate",
    status_code=204,
    openapi_extra=needs("keys", "provider"),
    summary="Begin a rotation",
)
async def rotate_keys(provider: ProviderName, order: SlotOrder, caller: Caller) -> Response:
    """Begin a rotation with the staged key, or one from the provider's source."""

    def rotate() -> None:
        caller.keys.of(provider).rotate(slot=order.slot, actor=ACTOR, reason=order.reason)

    await run_in_threadpool(rotate)
    return Response(status_code=204)


@router.post(f"{AT}/rollback", openapi_extra=needs("keys", "provider"), summary="Undo a rotation")
async def roll_back_keys(provider: ProviderName, order: SlotOrder, caller: Caller) -> KeyDocument:
    """Undo the last rotation of a slot, and return the key that is then active."""

    def roll_back() -> KeyDocument:
        keys = caller.keys.of(provider)
        return KeyDocument.of(keys.rollback(slot=order.slot, actor=ACTOR, reason=order.reason))

    return await run_in_threadpool(roll_back)


@router.post(
    f"{AT}/{{key_id}}/promote", openapi_extra=needs("keys", "provider"), summary="Promote a key"
)
async def promote_key(
    provider: ProviderName, key_id: KeyId, order: BecauseOrder, caller: Caller
) -> KeyDocument:
    """Make a staged or draining key active now."""

    def promote() -> KeyDocument:
        keys = caller.keys.of(provider)
        return KeyDocument.of(keys.promote(key_id, actor=ACTOR, reason=order.reason))

    return await run_in_threadpool(promote)


@router.post(
    f"{AT}/{{key_id}}/revoke", openapi_extra=needs("keys", "provider"), summary="Revoke a key"
)
async def revoke_key(
    provider: ProviderName, key_id: KeyId, order: BecauseOrder, caller: Caller
) -> KeyDocument:
    """Destroy a key's secret now. This cannot be undone."""

    def revoke() -> KeyDocument:
        keys = caller.keys.of(provider)
        return KeyDocument.of(keys.revoke(key_id, actor=ACTOR, reason=order.reason))

    return await run_in_threadpool(revoke)
