"""Messages as sentences. Pure."""


def capitalised(message: str, provider: str | None = None) -> str:
    """Return a message as a sentence begins. A provider's and a worker's name keep their case.

    >>> capitalised("beat is not running"), capitalised("lincoln has no key", "lincoln")
    ('Beat is not running', 'lincoln has no key')
    >>> capitalised("w@app-1 on app-1 refused to start")
    'w@app-1 on app-1 refused to start'
    """
    if "@" in message.partition(" ")[0] or (provider and message.startswith(provider)):
        return message
    return f"{message[:1].upper()}{message[1:]}"


def as_sentence(message: str, provider: str | None = None) -> str:
    """Return a message without a full stop as a sentence.

    >>> as_sentence("beat is not running")
    'Beat is not running.'
    """
    return f"{capitalised(message, provider)}."


def inside(sentence: str) -> str:
    """Return a sentence as part of another one.

    >>> inside("The proxy cannot be reached."), inside("HTTPS_PROXY is wrong.")
    ('the proxy cannot be reached', 'HTTPS_PROXY is wrong')
    """
    text = sentence.rstrip(".")
    return f"{text[:1].lower()}{text[1:]}" if text.startswith(("The ", "No ", "A ")) else text
