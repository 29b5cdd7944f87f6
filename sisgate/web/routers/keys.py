"""The keys of providers: adding, rotating and revoking them. No answer has a secret."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path, Response

from sisgate.web.deps import ACTOR, Caller, Common, ProviderName
from sisgate.web.rights import operation
from sisgate.web.schemas.keys import (
    KeyDocument,
    KeyOrder,
    KeysDocument,
    KeyUses,
    MasterKeysDocument,
    SlotOrder,
)
from sisgate.web.schemas.providers import BecauseOrder
from sisgate.web.streams import JSON_LINES

router = APIRouter(prefix="/v1", tags=["keys"])

KeyId = Annotated[str, Path(description="The id of a key.", max_length=36)]
AT = "/providers/{provider}/keys"


@router.get("/keys", **operation("keys", "anywhere", "List keys of all providers"))
def list_keys(caller: Caller, all_states: bool = False) -> KeysDocument:
    """Return the keys of the providers whose keys the caller may manage."""
    return KeysDocument(keys=caller.keys.list(all_states=all_states))


@router.get("/master-keys", **operation("administer", "installation", "List master keys"))
def list_master_keys(caller: Caller) -> MasterKeysDocument:
    """Return the keys that seal secrets: their ids and origins, and how much each has sealed."""
    return MasterKeysDocument(keys=caller.keys.master.list())


@router.post(
    "/master-keys/rewrap",
    responses={200: {"content": {JSON_LINES: {}}, "description": "One batch a line."}},
    response_class=Response,
    **operation("administer", "installation", "Re-seal all secrets"),
)
async def rewrap_secrets(order: BecauseOrder, caller: Caller, shared: Common) -> Response:
    """Re-seal everything with the newest master key, and tell after each batch how far it is.

    It can be interrupted and asked for again.
    """
    batches = caller.keys.master.rewrap(actor=ACTOR, reason=order.reason)
    return await shared.streams.json(caller, batches, asdict)


@router.get(AT, **operation("keys", "provider", "List a provider's keys"))
def list_provider_keys(
    provider: ProviderName, caller: Caller, all_states: bool = False
) -> KeysDocument:
    """Return its keys, newest first; with `all_states` also those that have ended."""
    return KeysDocument(keys=caller.keys.list(provider, all_states=all_states))


@router.get(f"{AT}/usage", **operation("keys", "provider", "Show keys' use"))
def get_key_usage(provider: ProviderName, caller: Caller) -> KeyUses:
    """Return how each key was used, newest first."""
    return KeyUses(keys=caller.keys.of(provider).usage())


@router.post(AT, status_code=201, **operation("keys", "provider", "Add or stage a key"))
def add_key(provider: ProviderName, order: KeyOrder, caller: Caller) -> KeyDocument:
    """Store a key and use it at once, or stage it for the next rotation."""
    keys, given = caller.keys.of(provider), dict(order)
    store = keys.stage if given.pop("stage") else keys.add
    return KeyDocument.of(store(**given, actor=ACTOR))


@router.post(
    f"{AT}/rotate",
    status_code=204,
    response_class=Response,
    **operation("keys", "provider", "Begin a rotation"),
)
def rotate_keys(provider: ProviderName, order: SlotOrder, caller: Caller) -> None:
    """Begin a rotation with the staged key, or one from the provider's source."""
    caller.keys.of(provider).rotate(**dict(order), actor=ACTOR)


@router.post(f"{AT}/rollback", **operation("keys", "provider", "Undo a rotation"))
def roll_back_keys(provider: ProviderName, order: SlotOrder, caller: Caller) -> KeyDocument:
    """Undo the last rotation of a slot, and return the key that is then active."""
    return KeyDocument.of(caller.keys.of(provider).rollback(**dict(order), actor=ACTOR))


@router.post(f"{AT}/{{key_id}}/promote", **operation("keys", "provider", "Promote a key"))
def promote_key(
    provider: ProviderName, key_id: KeyId, order: BecauseOrder, caller: Caller
) -> KeyDocument:
    """Make a staged or draining key active now."""
    return KeyDocument.of(caller.keys.of(provider).promote(key_id, **dict(order), actor=ACTOR))


@router.post(f"{AT}/{{key_id}}/revoke", **operation("keys", "provider", "Revoke a key"))
def revoke_key(
    provider: ProviderName, key_id: KeyId, order: BecauseOrder, caller: Caller
) -> KeyDocument:
    """Destroy a key's secret now. This cannot be undone."""
    return KeyDocument.of(caller.keys.of(provider).revoke(key_id, **dict(order), actor=ACTOR))
