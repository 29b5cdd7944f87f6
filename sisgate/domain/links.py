"""The links of the chain between a worker and an answer: where a call broke off. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from sisgate.domain.network import UNKNOWN_NAME
from sisgate.errors import CircuitOpen, NoPermit, ProviderUnavailable

NOT_ERRORS = frozenset({NoPermit.code, CircuitOpen.code})
"""Codes of calls that only waited."""


class Link(StrEnum):
    """The links of the chain, in order. A call that broke off before `ANSWER` was not sent."""

    FLEET = "fleet"
    """Not because of the provider: no key, no Redis, no ledger."""

    PROXY = "proxy"
    NAME = "name"
    CONNECTION = "connection"
    CERTIFICATE = "certificate"

    TOKEN_ENDPOINT = "token_endpoint"
    """The token endpoint gave no answer."""

    TOKEN = "token"
    """The token endpoint answered, and gave no token."""

    ANSWER = "answer"

    @property
    def step(self) -> Link:
        """The link as a verdict knows it: the token endpoint and its token are one."""
        return Link.TOKEN if self is Link.TOKEN_ENDPOINT else self

    @property
    def words(self) -> str:
        """What was not there, for whoever reads why a call could not be sent."""
        return _WORDS[self]


_WORDS = {
    Link.FLEET: "something of our own was missing",
    Link.PROXY: "our proxy did not let it through",
    Link.NAME: "no address for the host name",
    Link.CONNECTION: "no connection",
    Link.CERTIFICATE: "the server's certificate was refused",
    Link.TOKEN_ENDPOINT: "no answer from the token endpoint",
    Link.TOKEN: "no token from the token endpoint",
    Link.ANSWER: "no answer",
}


def link_of(error: Mapping[str, Any]) -> Link:
    """Return where the call with an error broke off.

    >>> link_of({"code": "provider_unavailable", "sent": False, "tls": "expired"}).value
    'certificate'
    """
    if "proxy" in error:
        return Link.PROXY
    if error.get("step") == "token":
        return Link.TOKEN
    if error.get("sent") is not False:
        return Link.ANSWER
    if "tls" in error:
        return Link.CERTIFICATE
    return Link.NAME if error.get("reason") == UNKNOWN_NAME else Link.CONNECTION


def unsent_at(error: Mapping[str, Any]) -> Link | None:
    """Return where a try that was not sent broke off; None if it only waited.

    Only a provider, or the way to it, that is unavailable is blamed: as `CallResult.UNREACHABLE`.

    >>> unsent_at({"code": "token_refused", "step": "token"}).value
    'fleet'
    """
    code = error.get("code")
    if code in NOT_ERRORS:
        return None
    if code != ProviderUnavailable.code:
        return Link.FLEET
    link = link_of(error)
    return Link.TOKEN_ENDPOINT if link is Link.TOKEN and not error.get("status") else link
