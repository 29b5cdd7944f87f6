"""Access tokens: making, replacing and revoking them."""

from datetime import timedelta
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path

from sisgate.web.deps import ACTOR, Caller
from sisgate.web.rights import operation
from sisgate.web.schemas.admin import (
    CallerDocument,
    RotationOrder,
    TokenDocument,
    TokenOrder,
    TokensDocument,
)
from sisgate.web.schemas.providers import BecauseOrder

router = APIRouter(prefix="/v1", tags=["tokens"])

TokenId = Annotated[str, Path(description="The id of a token, not the token.", max_length=40)]
ADMIN = partial(operation, "administer", "installation")


@router.get("/caller", **operation("look", "anywhere", "Say who asks"))
def get_caller(caller: Caller) -> CallerDocument:
    """Return the name, roles and scopes of the caller, and the app whose jobs it enqueues."""
    principal = caller.access.principal()
    return CallerDocument(
        name=principal.name, app=caller.jobs.owner(), roles=sorted(principal.roles),
        scopes=[str(each) for each in principal.scopes],
    )  # fmt: skip


@router.get("/tokens", **ADMIN("List tokens"))
def list_tokens(caller: Caller, every: bool = False) -> TokensDocument:
    """Return the tokens that are valid; with `every`, also those that are not any more."""
    return TokensDocument(tokens=caller.tokens.list(every=every))


@router.post("/tokens", status_code=201, **ADMIN("Create a token"))
def add_token(order: TokenOrder, caller: Caller) -> TokenDocument:
    """Create a token; its secret is in this answer only."""
    token = caller.tokens.add(
        order.name, order.roles, scopes=order.scopes, life=_life(order.days),
        actor=ACTOR, reason=order.reason,
    )  # fmt: skip
    return TokenDocument.of(token)


@router.post("/tokens/{token_id}/rotate", status_code=201, **ADMIN("Replace a token"))
def rotate_token(token_id: TokenId, order: RotationOrder, caller: Caller) -> TokenDocument:
    """Create a token of the same name, roles and scopes; the old one stays valid for a while."""
    token = caller.tokens.rotate(
        token_id, overlap=timedelta(hours=order.overlap_hours),
        life=_life(order.days), actor=ACTOR, reason=order.reason,
    )  # fmt: skip
    return TokenDocument.of(token)


@router.post("/tokens/{token_id}/revoke", **ADMIN("Revoke a token"))
def revoke_token(token_id: TokenId, order: BecauseOrder, caller: Caller) -> TokenDocument:
    """End a token for the whole fleet, within a second."""
    return TokenDocument.of(caller.tokens.revoke(token_id, actor=ACTOR, reason=order.reason))


def _life(days: float | None) -> timedelta | None:
    return timedelta(days=days) if days is not None else None
