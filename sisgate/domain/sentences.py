"""Messages as sentences. Pure."""

from __future__ import annotations


def as_sentence(message: str, provider: str | None = None) -> str:
    """Return a message without a full stop as a sentence. A provider's name keeps its case.

    >>> as_sentence("beat is not running"), as_sentence("lincoln has no key", "lincoln")
    ('Beat is not running.', 'lincoln has no key.')
    """
    if provider is not None and message.startswith(provider):
        return f"{message}."
    return f"{message[:1].upper()}{message[1:]}."
