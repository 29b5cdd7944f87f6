"""What `sisgate doctor` says of a provider's endpoints: whether each can be connected to."""

from __future__ import annotations

from collections.abc import Iterator

from sisgate.cli.commands.findings import Finding, Grade
from sisgate.clock import Clock
from sisgate.errors import ProviderUnavailable
from sisgate.settings import ProviderConfig
from sisgate.transport.http import Transport


def endpoints_of(config: ProviderConfig, clock: Clock) -> Iterator[Finding]:
    """Yield a finding for each endpoint. Nothing is sent, so no permit is spent.

    A certificate that is not trusted is not trusted by workers either; that a server cannot be
    reached may be so from here only.
    """
    transport, network = Transport(clock), config.network
    try:
        for endpoint in config.endpoints:
            subject = f"{config.name} endpoint"
            try:
                transport.connect(endpoint.url, network)
            except ProviderUnavailable as error:
                is_certain = "tls" in error.detail or not error.detail.get("reason")
                grade: Grade = "fail" if is_certain else "warn"
                yield Finding(subject, grade, f"{endpoint.url}: {error.message}")
                continue
            how = (
                "TLS, its certificate is trusted" if endpoint.url.startswith("https") else "no TLS"
            )
            if endpoint.url.startswith("https") and network.ca_file is not None:
                how += f" by {network.ca_file}"
            if network.proxy_for(endpoint.url) is not None:
                how += f", by the proxy {network.proxy_place}"
            yield Finding(subject, "ok", f"{endpoint.url}: {how}")
    finally:
        transport.close()
