"""The fleet's configuration: checking, comparing and applying it, its versions."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Query

from sisgate.errors import ConfigurationError, UsageError
from sisgate.gateway import ConfigurationPlan, Gateway
from sisgate.web.deps import ACTOR, Caller
from sisgate.web.rights import operation
from sisgate.web.schemas.configuration import (
    AddProvider,
    AppliedDocument,
    ConfigurationOrder,
    DifferencesDocument,
    EditOrder,
    EditProvider,
    HistoryDocument,
    PlannedDocument,
    PlannedEditDocument,
    PurgedDocument,
    PurgeOrder,
    RemoveProviders,
    StoredDocument,
)
from sisgate.web.schemas.providers import BecauseOrder

router = APIRouter(prefix="/v1/configuration", tags=["configuration"])

Number = Annotated[int, Path(ge=1, le=2**31 - 1, description="The number of a version.")]
LOOK = partial(operation, "look", "installation")
ADMIN = partial(operation, "administer", "installation")


@router.get("", **LOOK("Show the configuration in force"))
def get_configuration(caller: Caller) -> StoredDocument:
    """Return the newest version with its document; 404 as long as there is none."""
    return StoredDocument.of(caller.configuration.show())


@router.get("/versions", **LOOK("List versions"))
def list_versions(
    caller: Caller, limit: Annotated[int, Query(ge=1, le=1000)] = 20
) -> HistoryDocument:
    """Return the newest versions, newest first: who applied each, when and why."""
    return HistoryDocument(versions=caller.configuration.history(limit))


@router.get("/versions/{number}", **LOOK("Show a version"))
def get_version(number: Number, caller: Caller) -> StoredDocument:
    """Return a version with its document."""
    return StoredDocument.of(caller.configuration.show(number))


@router.post("/diff", **LOOK("Check a configuration, and what it would change"))
def diff_configuration(order: ConfigurationOrder, caller: Caller) -> PlannedDocument:
    """Check a document and return what applying it would change. Changes nothing."""
    with _mistakes_of_the_caller():
        return PlannedDocument.of(caller.configuration.plan_change(order.document))


@router.put("", **ADMIN("Apply a configuration"))
def apply_configuration(order: ConfigurationOrder, caller: Caller) -> AppliedDocument:
    """Make a document the version in force; every process follows within a second.

    With `based_on`, another version that came first is a conflict (409).
    """
    with _mistakes_of_the_caller():
        applied = caller.configuration.apply(
            order.document, actor=ACTOR, reason=order.reason, based_on=order.based_on
        )
    return AppliedDocument.of(applied)


@router.post("/versions/{number}/rollback", **ADMIN("Apply an earlier version"))
def roll_back_configuration(number: Number, order: BecauseOrder, caller: Caller) -> AppliedDocument:
    """Make the document of an earlier version a new one."""
    with _mistakes_of_the_caller():
        plan = caller.configuration.plan_rollback(number)
        applied = caller.configuration.apply(plan, actor=ACTOR, reason=order.reason)
    return AppliedDocument.of(applied)


@router.get("/versions/{number}/differences", **LOOK("Compare two versions"))
def compare_versions(
    number: Number,
    caller: Caller,
    to: Annotated[
        int | None, Query(ge=1, le=2**31 - 1, description="By default the one in force.")
    ] = None,
) -> DifferencesDocument:
    """Return what has changed since a version."""
    return DifferencesDocument(changes=caller.configuration.diff(number, to))


@router.post("/edits/plan", **LOOK("Show what a change would do"))
def plan_edit(order: EditOrder, caller: Caller) -> PlannedEditDocument:
    """Check a change of providers and return what it would do. Changes nothing."""
    with _mistakes_of_the_caller():
        plan = _planned(caller, order)
        return PlannedEditDocument(**plan.as_dict(), document=plan.document)


@router.post("/edits", **ADMIN("Change providers"))
def apply_edit(order: EditOrder, caller: Caller) -> AppliedDocument:
    """Add, edit or remove providers, or rename an endpoint, without the rest of the document."""
    with _mistakes_of_the_caller():
        plan = _planned(caller, order)
        applied = caller.configuration.apply(plan, actor=ACTOR, reason=order.reason)
    return AppliedDocument.of(applied)


@router.post("/purge", **ADMIN("Delete a removed provider's data"))
def purge_provider(order: PurgeOrder, caller: Caller) -> PurgedDocument:
    """Delete records, changes and responses that a removed provider left, or count them."""
    configuration = caller.configuration
    if order.dry_run:
        rows = configuration.left_by(order.provider)
    else:
        rows = configuration.purge(order.provider, actor=ACTOR, reason=order.reason)
    return PurgedDocument(rows=dict(rows), dry_run=order.dry_run)


def _planned(caller: Gateway, order: EditOrder) -> ConfigurationPlan:
    edit, configuration = order.edit, caller.configuration
    if isinstance(edit, AddProvider):
        return configuration.plan_provider(edit.provider, edit.settings)
    if isinstance(edit, EditProvider):
        return configuration.plan_edit(edit.provider, edit.settings, edit.unset)
    if isinstance(edit, RemoveProviders):
        return configuration.plan_removal(*edit.providers)
    return configuration.plan_renamed_endpoint(edit.provider, edit.old, edit.new)


@contextmanager
def _mistakes_of_the_caller() -> Iterator[None]:
    """Report mistakes of a caller's document as the caller's: 422 instead of 500."""
    try:
        yield
    except ConfigurationError as error:
        raise UsageError(error.message, problems=error.problems) from error
