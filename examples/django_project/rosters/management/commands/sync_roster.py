"""`manage.py sync_roster PROVIDER [DATASET…]`: sync datasets and wait for them."""

from argparse import ArgumentParser
from contextlib import closing
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from sisgate import Gateway, NewSync, SisgateError


class Command(BaseCommand):
    """Enqueue syncs in one step, wait for them, and say what has changed."""

    help = "Sync datasets of a provider; without DATASET, its whole roster."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("provider")
        parser.add_argument("datasets", nargs="*", metavar="dataset")
        parser.add_argument("--priority", default="normal")
        parser.add_argument("--wait", type=float, default=600.0, help="Seconds.")

    def handle(self, *_: Any, **options: Any) -> None:
        """Sync. The gateway is made here, after any fork, and closed at the end."""
        with closing(Gateway.from_env(app="rosters")) as gateway:
            try:
                self._sync(gateway, **options)
            except TimeoutError as error:
                raise CommandError(f"{error} Its jobs continue.") from error
            except SisgateError as error:
                raise CommandError(f"{error.code}: {error}") from error

    def _sync(
        self,
        gateway: Gateway,
        *,
        provider: str,
        datasets: list[str],
        priority: str,
        wait: float,
        **_: Any,
    ) -> None:
        names = datasets or gateway.datasets.roster(provider)
        jobs = gateway.enqueue([NewSync(provider, name, priority=priority) for name in names])
        for name, job in zip(names, jobs, strict=True):
            status = job.wait(timeout=wait)
            if status.state != "done":
                raise CommandError(f"{name}: {status.state}. {status.note or status.error or ''}")
            self.stdout.write(f"{name}: {status.inserted} new, {status.updated} changed")
