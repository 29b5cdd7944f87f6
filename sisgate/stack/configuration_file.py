"""`sisgate.toml` under `sisgate up`: applied at the start, and again whenever it is saved.

The file is applied only where nobody else has changed the configuration since it was last applied:
otherwise each start would undo what was done with `sisgate config` or on another host. Nor is it
applied where that would end waiting work or remove every provider, which a person has to confirm.
What programs read only at their start, such as `access`, is not applied: that is said.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from sisgate.clock import Clock
from sisgate.configuration.diff import TableChange
from sisgate.domain.validation import some_of
from sisgate.errors import SisgateError, TransientError
from sisgate.gateway import Gateway
from sisgate.gateway.configuration import DraftPlan
from sisgate.settings import Settings, load_settings

APPLIED = "configuration-applied.json"
"""In the data folder: digests of the file as it was last applied, and last read."""

RETRY_SECONDS = 5.0
MOST_NAMES = 5

Seen = tuple[int, int, int]
"""What a save changes: time of change, size and inode of a file."""


class ConfigurationFile:
    """Follows one file. `tell` gets what was applied, or why not: once for each save."""

    def __init__(
        self,
        file: Path,
        data_dir: Path,
        gateway: Gateway,
        clock: Clock,
        tell: Callable[[str, str], None],
    ) -> None:
        self._file = file
        self._memory = data_dir / APPLIED
        self._gateway = gateway
        self._clock = clock
        self._tell = tell
        self._done: Seen | None = None
        self._coming: Seen | None = None
        self._wait_until = float("-inf")
        self._said = ""
        self._at_start: Settings | None = None
        self._noted = self._read_memory()

    def apply(self) -> None:
        """Apply the file as it is now."""
        self._done = self._look()
        self._apply()

    def check(self) -> None:
        """Apply the file if it was saved, and is the same as at the last check: it is complete."""
        seen = self._look()
        if seen is None or seen == self._done or self._clock.monotonic() < self._wait_until:
            return
        if seen != self._coming:
            self._coming = seen
            self._said = ""  # whoever saved it waits for an answer, also if it is the same one
            return
        self._done = seen
        self._apply()

    def _look(self) -> Seen | None:
        with suppress(OSError):
            found = self._file.stat()
            return found.st_mtime_ns, found.st_size, found.st_ino
        return None  # an editor is about to put the new one there

    def _apply(self) -> None:
        try:
            late = self._late()
            applied = self._applied()
            self._say(
                f"{applied.removesuffix('.')}. {late}" if applied and late else applied or late
            )
        except TransientError as error:
            self._say(f"not applied yet: {error.message}")
            self._done, self._wait_until = None, self._clock.monotonic() + RETRY_SECONDS
        except SisgateError as error:
            self._say(f"not applied, the configuration stays as it is. {error.message}")

    def _applied(self) -> str:
        """Apply the file if that is safe; return what to say, '' for nothing."""
        configuration = self._gateway.configuration
        plan = configuration.plan_change(self._file)
        applied_before, read_before = self._noted
        digest = plan.draft.digest
        if not plan.changes:
            # The file says what is in force, perhaps in other words, such as an empty table.
            self._remember(self._in_force(plan) or digest, digest)
            return ""
        if why := self._obstacle(plan, {applied_before, read_before}):
            self._remember(applied_before, digest)
            return f"not applied: {why}"
        applied = configuration.apply(plan, actor="sisgate up", reason=f"saved {self._file.name}")
        self._remember(digest, digest)
        text = f"version {applied.version.number} is in force: {_summary(applied.changes)}"
        return ". ".join([text, *plan.lost_messages])

    def _late(self) -> str:
        """Return what to say of changed settings that need a restart, '' without any."""
        own = load_settings(self._file, data_dir=self._memory.parent, with_fleet=False)
        before = self._at_start = self._at_start or own
        given = sorted(own.model_fields_set | before.model_fields_set)
        changed = [name for name in given if getattr(own, name) != getattr(before, name)]
        return f"Restart `sisgate up` for a change of {', '.join(changed)}." if changed else ""

    def _obstacle(self, plan: DraftPlan, ours: set[str]) -> str:
        """Return why the file must not be applied without a person, '' if it may.

        `ours` are digests of the file as it was: a version that is none of them is of others.
        """
        by_hand = f"See `sisgate config diff`, then `sisgate config apply {self._file.name}`."
        if plan.base and self._in_force(plan) not in ours:
            return f"version {plan.base}, which was applied elsewhere, is in force. {by_hand}"
        if plan.removed_providers and not plan.draft.configuration.providers:
            return f"it has no providers, and would remove all that are configured. {by_hand}"
        if plan.cancels:
            jobs = sum(plan.cancels.values())
            names = ", ".join(plan.cancels)
            return (
                f"it removes {names}, of which {jobs:,} job{'s wait' if jobs > 1 else ' waits'}. "
                f"{by_hand}"
            )
        return ""

    def _in_force(self, plan: DraftPlan) -> str:
        """Return the digest of the version that the plan is based on, '' if there is none."""
        return self._gateway.configuration.show(plan.base).info.digest if plan.base else ""

    def _read_memory(self) -> tuple[str, str]:
        with suppress(OSError, ValueError, KeyError, TypeError):
            memory = json.loads(self._memory.read_text("utf-8"))
            return str(memory["applied"]), str(memory["read"])
        return "", ""

    def _remember(self, applied: str, read: str) -> None:
        if (applied, read) == self._noted:
            return
        self._noted = applied, read
        new = self._memory.with_suffix(".new")
        try:
            new.write_text(json.dumps({"applied": applied, "read": read}), "utf-8")
            new.replace(self._memory)
        except OSError as error:
            # A full disk must not end the stack; the configuration is in the ledger.
            self._tell(
                f"{self._file.name}: {self._memory} cannot be written ({error.strerror}). The next "
                "`sisgate up` may take the version in force for one that was applied elsewhere.",
                "warning",
            )

    def _say(self, what: str) -> None:
        if what and what != self._said:
            level = "warning" if what.startswith("not applied") else "info"
            self._tell(f"{self._file.name}: {what}", level)
        self._said = what


def _summary(changes: Sequence[TableChange]) -> str:
    """Return the names of what changed, each with its sign."""
    signs = {"add": "+", "change": "~", "remove": "-"}
    return some_of([f"{signs[each.kind]} {each.subject}" for each in changes], MOST_NAMES)
