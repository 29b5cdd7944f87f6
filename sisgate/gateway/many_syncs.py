"""Syncs of several providers at once: which, and what became of each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from sisgate.access.policy import Action
from sisgate.domain.validation import did_you_mean
from sisgate.errors import SisgateError, UnknownProvider, UnknownResource, UsageError
from sisgate.gateway.bulk import Bulk, Progress
from sisgate.gateway.core import Core
from sisgate.gateway.datasets import Datasets
from sisgate.gateway.job_handle import Job
from sisgate.gateway.orders import NewSync
from sisgate.settings.selector import ProviderSelector


@dataclass(frozen=True)
class SyncResult:
    """One dataset of one provider: the `job` of its sync, or the `error` why it was refused."""

    provider: str
    resource: str
    job: Job | None = None
    error: SisgateError | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the fields JSON-ready."""
        job, error = self.job, self.error
        return {
            "provider": self.provider, "resource": self.resource, "job": job.id if job else None,
            "is_new": job is not None and job.is_new, "error": error.as_dict() if error else None,
        }  # fmt: skip


class ManySyncs:
    """Implements `Gateway.sync_many`."""

    def __init__(self, core: Core, bulk: Bulk, datasets: Datasets) -> None:
        self._core = core
        self._bulk = bulk
        self._datasets = datasets

    def enqueue(
        self,
        where: Mapping[str, str],
        resources: Sequence[str],
        progress: Progress,
        *,
        with_absent: bool,
        idempotency_key: str | None,
        **options: Any,
    ) -> list[SyncResult]:
        """Accept the syncs of all chosen providers that the caller may enqueue."""
        new = [
            NewSync(
                name, resource,
                idempotency_key=idempotency_key and f"{idempotency_key}/{name}/{resource}",
                **options,
            )
            for name, offered in self._chosen(where, resources, with_absent=with_absent)
            for resource in offered
            if self._core.access.allows(Action.ENQUEUE, name, resource)
        ]  # fmt: skip
        if not new:
            self._refuse_nothing(where, resources)
        results = self._bulk.enqueue_each(new, progress)
        return [
            SyncResult(item.provider, item.resource, error=result)
            if isinstance(result, SisgateError)
            else SyncResult(item.provider, item.resource, result)
            for item, result in zip(new, results, strict=True)
        ]

    def _chosen(
        self, where: Mapping[str, str], named: Sequence[str], *, with_absent: bool
    ) -> Iterable[tuple[str, Sequence[str]]]:
        """Return the chosen providers, each with the named datasets that it has, or its roster."""
        providers = self._core.configuration.refresh().providers
        names = selector_of(where).select(providers.values())
        if not names:
            raise UnknownProvider(
                f"No provider is chosen by {selector_of(where)}. `sisgate providers` lists them."
            )
        if not named and not with_absent:
            return self._datasets.rosters(names).items()
        offered = {name: providers[name].dialect_class for name in names}
        return [
            (
                name,
                [each for each in named if each in dialect.resources] if named else dialect.roster,
            )
            for name, dialect in offered.items()
        ]

    def _refuse_nothing(self, where: Mapping[str, str], resources: Sequence[str]) -> None:
        """Raise why there is nothing to sync: no provider has the datasets, or no permission."""
        providers = self._core.configuration.current().providers
        names = selector_of(where).select(providers.values())
        known = {each for name in names for each in providers[name].dialect_class.resources}
        unknown = [resource for resource in resources if resource not in known]
        if unknown:
            raise UnknownResource(
                f"No chosen provider has a resource {unknown[0]!r}. Nothing was enqueued."
                f"{did_you_mean(unknown[0], known)}"
            )
        self._core.access.require(Action.ENQUEUE, names[0])


def selector_of(where: Mapping[str, str]) -> ProviderSelector:
    """Return the selector with some conditions; `UsageError` names the valid ones."""
    try:
        return ProviderSelector(**where)
    except (ValidationError, TypeError):
        known = list(ProviderSelector.model_fields)
        odd = next((name for name in where if name not in known), "where")
        raise UsageError(
            f"Providers are chosen by {', '.join(known)}, not by {odd[:40]!r}."
            f"{did_you_mean(odd, known)}"
        ) from None
