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


def inside(sentence: str) -> str:
    """Return a sentence as part of another one.

    >>> inside("The proxy cannot be reached."), inside("HTTPS_PROXY is wrong.")
    ('the proxy cannot be reached', 'HTTPS_PROXY is wrong')
    """
    text = sentence.rstrip(".")
    return f"{text[:1].lower()}{text[1:]}" if text.startswith(("The ", "No ", "A ")) else text
