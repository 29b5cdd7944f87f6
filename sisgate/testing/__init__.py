"""A gateway for the tests of apps: the real one, without Redis, workers or a provider.

Extra `sisgate[testing]`. With pytest, take the fixtures `sisgate_double` and `gateway`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sisgate.start_up import names_from

if TYPE_CHECKING:
    from sisgate.testing.double import GatewayDouble
    from sisgate.testing.provider import ProviderReply, SentRequest
else:
    __getattr__ = names_from(
        __name__,
        {
            "sisgate.testing.double": "GatewayDouble",
            "sisgate.testing.provider": "ProviderReply SentRequest",
        },
    )

__all__ = ["GatewayDouble", "ProviderReply", "SentRequest"]
