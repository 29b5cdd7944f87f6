"""Rules that change requests to a provider and its responses: `[[providers.NAME.transforms]]`."""

from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from sisgate.domain.headers import usable_headers
from sisgate.errors import UsageError
from sisgate.settings.fields import Frozen


def compiled(expression: str) -> Any:
    """Return a JMESPath expression, parsed; `ValueError` says where it is wrong."""
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        return jmespath.compile(expression)
    except JMESPathError as error:
        place = getattr(error, "lex_position", None)
        where = f" at character {place + 1}" if isinstance(place, int) else ""
        raise ValueError(f"this is no JMESPath expression{where}: {expression!r}") from None


def _checked(expression: str) -> str:
    compiled(expression)
    return expression


def _sendable(headers: dict[str, str]) -> dict[str, str]:
    try:
        return usable_headers(headers)
    except UsageError as error:
        raise ValueError(error.message) from None


Expression = Annotated[str, AfterValidator(_checked)]
Headers = Annotated[dict[str, str], AfterValidator(_sendable)]


class RequestTransform(Frozen):
    """What a rule changes of a request, in this order. `python` names an entry point."""

    query: dict[str, str] = Field(default_factory=dict)
    headers: Headers = Field(default_factory=dict)
    jmespath: Expression | None = None
    python: str | None = None


class ResponseTransform(Frozen):
    """What a rule changes of a good response, in this order. `canonical` is a resource."""

    canonical: str | None = None
    jmespath: Expression | None = None
    python: str | None = None
    headers: Headers = Field(default_factory=dict)


class TransformConfig(Frozen):
    """A rule for the paths that match `path`, in which `*` matches anything.

    With `asked`, it is only for requests that name it.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
    path: Annotated[str, Field(pattern=r"^/")]
    methods: tuple[str, ...] = ()
    asked: bool = False
    request: RequestTransform = RequestTransform()
    response: ResponseTransform = ResponseTransform()

    def fits(self, method: str, path: str) -> bool:
        """Whether the rule is for such a request."""
        return fnmatchcase(path, self.path) and (not self.methods or method in self.methods)
