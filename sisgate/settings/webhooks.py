"""The configuration of webhooks, `[webhooks]`."""

import ipaddress
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from sisgate.domain.receivers import ReceiverRules
from sisgate.settings.fields import Duration, Frozen


def _network(text: str) -> str:
    ipaddress.ip_network(text)
    return text


class WebhookConfig(Frozen):
    """Where webhooks may be sent, and for how long it is tried.

    `allow` names addresses and networks that are not public, such as `10.4.0.0/16`.
    """

    allow: tuple[Annotated[str, AfterValidator(_network)], ...] = ()
    allow_http: bool = False
    ca_file: Path | None = None
    timeout_seconds: Annotated[float, Field(ge=1, le=60)] = 10.0
    give_up_after: Annotated[Duration, Field(ge=timedelta(minutes=1))] = timedelta(days=1)
    pause_after: Annotated[Duration, Field(ge=timedelta(minutes=1))] = timedelta(days=3)
    most_per_app: Annotated[int, Field(ge=0, le=1000)] = 20

    @property
    def rules(self) -> ReceiverRules:
        """Which receivers are allowed."""
        networks = tuple(ipaddress.ip_network(each) for each in self.allow)
        return ReceiverRules(self.allow_http, networks)
