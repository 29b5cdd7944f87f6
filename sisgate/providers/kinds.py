"""The kinds of SIS. A new kind is a dialect and one line in `DIALECTS`."""

from typing import ClassVar

from sisgate.providers.dialect import Dialect
from sisgate.providers.oneroster import OneRoster
from sisgate.providers.powerschool import PowerSchool


class InfiniteCampus(OneRoster):
    """OneRoster 1.2 as Infinite Campus serves it, under Campus' own paths.

    A district serves one application or several; each has its own path. `base_path` is the whole
    prefix, for instance `/campus/api/oneroster/v1p2/lincoln/ims/oneroster/rostering/v1p2` for the
    application `lincoln`. Without it the prefix has no application, as a district with a single one
    serves it. The token URL may want `?appName=…`: configure it then. Campus changes every
    sourcedId when a district moves from 1.1 to 1.2, and asks for at most 5 requests at once, one at
    a time in school hours.
    """

    kind = "infinite_campus"
    default_limit = "500/h"
    # "At most five calls at once", serial in school hours: see the setting `school_hours`.
    default_concurrency = 5
    base_paths: ClassVar[dict[str, str]] = {
        "1.2": "/campus/api/oneroster/v1p2/ims/oneroster/rostering/v1p2"
    }

    def token_path(self) -> str | None:
        """Campus' token endpoint for all applications of a district."""
        return "/campus/oauth2/token"


class Skyward(OneRoster):
    """OneRoster 1.2, or 1.1 at another path, as Skyward serves it.

    1.2 is served without the `rostering` part of the specification's path. An expired token is
    reported by the text `Token has expired`.
    """

    kind = "skyward"
    default_limit = "2000/h"
    base_paths: ClassVar[dict[str, str]] = {
        "1.1": "/api/ims/oneroster/v1p1",
        "1.2": "/ims/oneroster/v1p2",
    }

    def token_path(self) -> str | None:
        """The usual path of Skyward's token endpoint."""
        return "/oauth/token"


DIALECTS: dict[str, type[Dialect]] = {
    "infinite_campus": InfiniteCampus,
    "oneroster": OneRoster,
    "powerschool": PowerSchool,
    "skyward": Skyward,
}
