"""Persons: erasing one, lifting it, who has read their data. Each is audited."""

from functools import partial

from fastapi import APIRouter

from sisgate.web.deps import ACTOR, Caller
from sisgate.web.rights import operation
from sisgate.web.schemas.persons import (
    DisclosureOrder,
    DisclosuresDocument,
    ErasureDocument,
    ErasureOrder,
    LiftedDocument,
    LiftOrder,
    PseudonymOrder,
    PseudonymsDocument,
)

router = APIRouter(prefix="/v1/persons", tags=["persons"])

ADMIN = partial(operation, "administer", "installation")


@router.post("/erase", **ADMIN("Erase a person"))
def erase_person(order: ErasureOrder, caller: Caller) -> ErasureDocument:
    """Erase a student or teacher from all tables, then search for what remains."""
    given = {**dict(order), "reason": order.reason or ""}
    return ErasureDocument.of(caller.privacy.erase(**given, actor=ACTOR))


@router.post("/lift", **ADMIN("Let syncs store a person again"))
def lift_erasure(order: LiftOrder, caller: Caller) -> LiftedDocument:
    """End the suppression of an erased person; the next sync stores them again."""
    return LiftedDocument(lifted=caller.privacy.lift(**dict(order), actor=ACTOR))


@router.post("/disclosures", **ADMIN("Show who read a person's data"))
def find_disclosures(order: DisclosureOrder, caller: Caller) -> DisclosuresDocument:
    """Return who read records or responses with the person's data, when, and why."""
    return DisclosuresDocument(disclosures=caller.audit.disclosures(**dict(order), actor=ACTOR))


@router.post("/pseudonyms", **ADMIN("Show a person's pseudonyms"))
def find_pseudonyms(order: PseudonymOrder, caller: Caller) -> PseudonymsDocument:
    """Return the subjects by which `/v1/audit/search` finds the person's events."""
    return PseudonymsDocument(pseudonyms=caller.privacy.pseudonyms(**dict(order)))
