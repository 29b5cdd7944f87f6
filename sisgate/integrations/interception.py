"""Which requests of an app are for a provider, by their path. Pure.

A request is intercepted by its path as it was sent, before anything decodes it, so that what is
checked is what the provider gets. Its host, and any origin it may name, decide nothing: a call goes
to the endpoints of a configured provider, below their base path.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, quote, unquote
from uuid import UUID

from sisgate.domain.validation import usable_path
from sisgate.errors import UnknownJob, UnknownProvider, UsageError

PATH_BYTES = 4096
QUERY_BYTES = 16384
MOST_PARAMETERS = 500

SAFE = "/:@!$&'()*+,;=-._~"

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_JOB = "/-/jobs/"
"""Below the prefix. No provider is named `-`."""


@dataclass(frozen=True)
class Intercepted:
    """A request for a provider, or for the job of an earlier one."""

    provider: str = ""
    path: str = ""
    job_id: str | None = None


@dataclass(frozen=True)
class Interception:
    """Sends requests whose path matches `pattern` to a provider.

    `{name}` in a pattern stands for one segment, a final `{path}` for all the rest. `provider` is a
    name or `{provider}`, and `path` the path at the provider, written with the same names.

    >>> rule = Interception("/students/{id}", "powerschool", "/ws/v1/student/{id}")
    >>> rule.match("/students/5")
    Intercepted(provider='powerschool', path='/ws/v1/student/5', job_id=None)
    """

    pattern: str
    provider: str
    path: str
    methods: Collection[str] | None = None
    """The methods that it is for; None for all."""

    def __post_init__(self) -> None:
        """Check that the texts fit together."""
        names = set(_PLACEHOLDER.findall(self.pattern))
        asked = set(_PLACEHOLDER.findall(f"{self.provider}{self.path}"))
        inner = self.pattern.removesuffix("{path}")
        for text in (self.pattern, self.provider, self.path):
            if re.search(r"[{}?#]", _PLACEHOLDER.sub("", text)):
                raise UsageError(
                    f"{text!r} is not a path or name with placeholders such as {{id}}. A query is "
                    "passed on as it comes."
                )
        if len(_PLACEHOLDER.findall(self.pattern)) > len(names):
            raise UsageError(f"A placeholder stands twice in {self.pattern!r}.")
        if self.methods is not None and (
            isinstance(self.methods, str) or any(each != each.upper() for each in self.methods)
        ):
            raise UsageError(f"methods is a list such as ['GET'], not {self.methods!r}.")
        if not self.pattern.startswith("/") or not self.path.startswith(("/", "{path}")):
            raise UsageError(f"Pattern and path of an Interception begin with /: {self.pattern!r}.")
        if asked - names:
            raise UsageError(f"{self.pattern!r} has no {', '.join(sorted(asked - names))}.")
        if "{path}" in inner:
            raise UsageError(f"{{path}} can only end a pattern, unlike in {self.pattern!r}.")

    def match(self, path: str, method: str = "GET") -> Intercepted | None:
        """Return what a path, as it was sent, is for; None if it does not match."""
        if self.methods is not None and method not in self.methods:
            return None
        found = self._regex.fullmatch(path)
        if found is None:
            return None
        values = found.groupdict()
        return Intercepted(_filled(self.provider, values), _filled(self.path, values))

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        parts = re.split(r"(\{[a-z_]+\})", self.pattern)
        return re.compile("".join(map(_regex_of, parts)))


def _regex_of(part: str) -> str:
    name = _PLACEHOLDER.fullmatch(part)
    if name is None:
        return re.escape(part)
    # A final {path} begins with the slash that the pattern ends with.
    return f"(?P<{name[1]}>{'.*' if name[1] == 'path' else '[^/]+'})"


def _filled(template: str, values: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda name: values[name[1]], template)


def _job_id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise UnknownJob("No job has that id.") from None


def sent_path(scope: Mapping[str, Any]) -> str | None:
    """Return the path of an ASGI request below the app's root path, as it was sent.

    None if what the server decoded is not what was sent: what stands in front of us may then have
    judged another path, so such a request is not intercepted.
    """
    root = scope.get("root_path", "")
    path = _below(root, scope["path"])
    raw: bytes | None = scope.get("raw_path")
    if raw is None:
        return quote(path, safe=SAFE)
    sent = _below(quote(root, safe=SAFE), raw.partition(b"?")[0].decode("latin-1"))
    return sent if unquote(sent) == path else None


def _below(root: str, path: str) -> str:
    """Return a path without the root path, with which not every server begins it."""
    rest = path.removeprefix(root.rstrip("/"))
    return rest if rest.startswith("/") else path


def query_of(scope: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the parameters of an ASGI request; `UsageError` for too many or none that are text."""
    raw: bytes = scope.get("query_string", b"")
    if len(raw) > QUERY_BYTES:
        raise UsageError(f"A query has at most {QUERY_BYTES} bytes.")
    try:
        pairs = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, errors="strict",
            max_num_fields=MOST_PARAMETERS,
        )  # fmt: skip
    except ValueError as error:
        raise UsageError("The query cannot be read as UTF-8 parameters.") from error
    return pairs


class Interceptor:
    """Decides which requests are intercepted: by the rules in order, then by the prefix.

    Below the prefix, `/{provider}/…` is for that provider, and `/-/jobs/{id}` for a job.
    """

    def __init__(
        self, prefix: str, rules: Sequence[Interception], providers: Collection[str] | None
    ) -> None:
        if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", prefix):
            raise UsageError(f"A prefix is a path such as /sis, not {prefix!r}.")
        if isinstance(providers, str):
            raise UsageError(f"providers is a list of names, such as [{providers!r}].")
        self.prefix = prefix
        by_prefix = Interception(f"{prefix}/{{provider}}/{{path}}", "{provider}", "/{path}")
        self._rules = (*rules, by_prefix)
        self._providers = None if providers is None else frozenset(providers)

    def is_for_us(self, path: str, method: str) -> bool:
        """Whether a request is intercepted, be it to be refused."""
        return self._first(path, method) is not None

    def match(self, path: str, method: str) -> Intercepted:
        """Return what an intercepted path is for.

        Raises `UsageError` for a path that could leave the provider's base path, and
        `UnknownProvider` for a provider that is not served here.
        """
        if path.startswith(f"{self.prefix}{_JOB}"):
            return Intercepted(job_id=_job_id(path.removeprefix(f"{self.prefix}{_JOB}")))
        found = self._first(path, method)
        assert found is not None
        if len(path) > PATH_BYTES:
            raise UsageError(f"A path has at most {PATH_BYTES} bytes.")
        self.check_served(found.provider)
        usable_path(found.path)
        return found

    def check_served(self, provider: str) -> None:
        """Raise `UnknownProvider` for a provider that is not served here."""
        if not _NAME.fullmatch(provider) or (
            self._providers is not None and provider not in self._providers
        ):
            raise UnknownProvider(
                f"No provider {provider[:63]!r} is served here.", provider=provider[:63]
            )

    def _first(self, path: str, method: str) -> Intercepted | None:
        matches = (rule.match(path, method) for rule in self._rules)
        return next((each for each in matches if each is not None), None)

    def job_path(self, job_id: str) -> str:
        """Return the path of a job, below the app's root path."""
        return f"{self.prefix}{_JOB}{job_id}"

    def path_of(self, provider: str, path: str) -> str:
        """Return the path here of a path at a provider, below the app's root path."""
        return f"{self.prefix}/{provider}{path}"
