"""Keys and certificates that end. Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sisgate.domain.figures import duration
from sisgate.domain.moments import local_time
from sisgate.verdict.facts import KeyStanding, ProviderFacts
from sisgate.verdict.finding import Certainty, Finding, Party, Severity, Trouble


def keys_ending(facts: ProviderFacts) -> Iterator[Finding]:
    """Yield the keys that have expired or soon will."""
    for key in facts.keys:
        left = key.expires_in_seconds
        if left is None or left > facts.warn_before_seconds:
            continue
        is_over = left <= 0
        is_only = len(facts.keys) == 1
        when = f"expired {duration(-left)} ago" if is_over else f"expires in {duration(left)}"
        if key.rotation_failure:
            when += f", and its last rotation failed: {key.rotation_failure.rstrip('.')}"
        yield Finding(
            Trouble.KEY_EXPIRED if is_over else Trouble.KEY_EXPIRES,
            Party("key", name_of(key)),
            Severity.HARMS if is_over and is_only else Severity.WARNS,
            Certainty.CERTAIN,
            f"the {label_of(key)} of {facts.name} {when}",
            f"Replace it by hand: {replacement_of(facts.name, key)}; with a key source, "
            f"`sisgate keys list {facts.name}` shows why no rotation came.",
            {"key": key.id, "slot": key.slot, "expires_in_seconds": round(left)},
            facts.name,
        )


def certificates_ending(facts: ProviderFacts, now: datetime) -> Iterator[Finding]:
    """Yield the certificates of a provider that end soon."""
    for each in facts.certificates:
        host = each.place.removesuffix(":443")
        # A date, because alerts keep what is said here.
        yield Finding(
            Trouble.CERTIFICATE_EXPIRES,
            Party("provider", facts.name),
            Severity.WARNS,
            Certainty.CERTAIN,
            f"the TLS certificate of {host}, of {facts.name}, expires at "
            f"{local_time(each.ends_at)}: from then on no call can be made",
            f"Ask the operator of {facts.name} to renew it. It was last seen at "
            f"{local_time(each.seen_at)}; a renewed one is seen with the next connection.",
            {"host": host, "expires_in_seconds": round((each.ends_at - now).total_seconds())},
            facts.name,
        )


def expired(keys: Sequence[KeyStanding]) -> bool:
    """Return whether every key has expired."""
    return bool(keys) and all(
        each.expires_in_seconds is not None and each.expires_in_seconds <= 0 for each in keys
    )


def name_of(key: KeyStanding | None) -> str | None:
    """Return how a key is named as a culprit."""
    return f"{key.id[:8]} ({key.slot})" if key is not None else None


def label_of(key: KeyStanding | None) -> str:
    """Return how a key is called in a sentence."""
    return f"{key.slot} key {key.id[:8]}" if key is not None else "key"


def replacement_of(provider: str, key: KeyStanding | None) -> str:
    """Return the commands that replace a key by hand."""
    slot = f" --slot {key.slot}" if key is not None and key.slot != "primary" else ""
    return f"`sisgate keys stage {provider}{slot}`, then `sisgate keys rotate {provider}{slot}`"
