"""Every error sisgate raises, in one tree. Branch on what you would do about it.

::

    SisgateError
    ├── TransientError            try again: the same thing may work in a moment
    │   ├── BrokerUnavailable         Redis cannot be reached
    │   ├── DatabaseUnavailable       the ledger cannot be reached; nothing was accepted
    │   ├── ServiceUnavailable        the HTTP service cannot be reached, or gave no answer
    │   └── ProviderUnavailable       5xx, reset, timeout, truncated or malformed response
    ├── DeferredError             wait: carries the seconds; no attempt is spent
    │   ├── NoPermit                  the provider's quota has no permit now
    │   ├── Throttled                 the provider responded 429
    │   ├── CircuitOpen               every breaker of the provider is open
    │   ├── ProviderHeld              it accepts no calls now, and the app chose not to wait
    │   ├── BacklogFull               the backlog is full; nothing was accepted
    │   └── TooManyRequests           the HTTP service takes no more from this caller now
    └── PermanentError            correct something first
        ├── ConfigurationError        sisgate.toml or the environment is wrong
        ├── UsageError                the call itself is wrong
        │   ├── NotFound                  nothing has that name or id
        │   │   ├── UnknownProvider
        │   │   │   └── ProviderRemoved       it was removed from the configuration
        │   │   ├── UnknownResource
        │   │   ├── UnknownJob
        │   │   ├── UnknownToken              no access token has that id
        │   │   ├── UnknownRecord             the dataset has no record of that id
        │   │   ├── UnknownPerson             the provider has no record of that person
        │   │   ├── UnknownMessage            no message in quarantine, or of a webhook, has that id
        │   │   ├── UnknownKey                the provider has no such key
        │   │   ├── UnknownSchedule           no schedule of that name is configured
        │   │   ├── UnknownWebhook            no webhook has that id
        │   │   ├── UnknownErrorPattern       no error pattern has that id
        │   │   ├── UnknownAlert              no alert or silence has that id
        │   │   └── UnknownVersion            the configuration has no such version
        │   ├── ConfigurationConflict another version of the configuration came first
        │   ├── IdempotencyConflict   the same key with other arguments
        │   ├── InvalidState          the job's state does not allow it
        │   ├── CursorTooOld          the changes after the cursor are deleted; start over
        │   └── CursorAhead           the feed ends before the cursor; start over
        ├── CredentialError           no usable key, or a secret cannot be opened
        │   ├── MasterKeyMissing      a master or audit key of ours is not here
        │   ├── SecretChanged         a stored secret is not as we sealed it
        │   ├── TokenRefused          the provider refused our credentials
        │   └── KeySourceFailed       a key source produced no new key
        ├── AccessDenied              the caller may not do that
        │   └── NotAuthenticated          no token, or an invalid one
        ├── ProviderRefused           the provider responded 4xx: its message, status, request id
        ├── AuditError                the audit log could not be sealed, kept or read
        ├── AnswerInvalid             the response is not in the provider's dialect
        ├── TransformFailed           a configured transform cannot be applied
        └── JobFailed                 the job ended without success
            ├── JobCancelled
            ├── OutcomeUnknown        whether the provider carried it out is unknown
            └── JobExpired

A message says what happened, what it means and what to do. It never holds a secret, and never
student data: of a provider's own message only words of errors are kept
(`sisgate.domain.error_messages`), and its response bodies are never quoted.
"""

from typing import Any

MESSAGE_LIMIT = 300
"""Characters of a provider's own message that are read."""


class SisgateError(Exception):
    """Base of all errors of sisgate.

    `detail` holds ids and numbers fit for a log line or a JSON response.
    """

    code = "error"
    service: str | None = None
    """The URL of the HTTP service whose answer it was; None for an error that was raised here."""

    def __init__(self, message: str, **detail: Any) -> None:
        super().__init__(message)
        self.message = message
        self.detail: dict[str, Any] = {k: v for k, v in detail.items() if v is not None}

    def as_dict(self) -> dict[str, Any]:
        """Return the error JSON-ready: `code`, `message` and the detail."""
        return {"code": self.code, "message": self.message, **self.detail}


class TransientError(SisgateError):
    """The same thing may work in a moment: try again."""

    code = "transient"


class BrokerUnavailable(TransientError):
    """Redis cannot be reached. Accepted work stays in the ledger and is published later."""

    code = "broker_unavailable"


class DatabaseUnavailable(TransientError):
    """The ledger cannot be reached, so nothing was accepted."""

    code = "database_unavailable"


class ServiceUnavailable(TransientError):
    """The HTTP service of sisgate cannot be reached, or gave no answer.

    Whether something was accepted is unknown unless the request had an idempotency key: ask again
    with the same one.
    """

    code = "service_unavailable"
    was_sent = False
    """Whether the request may have arrived, so that an order may have been accepted."""


class ProviderUnavailable(TransientError):
    """The provider failed: 5xx, connection reset, timeout, truncated or malformed response."""

    code = "provider_unavailable"


class DeferredError(SisgateError):
    """Waiting is not failing: try again after `seconds`; no attempt is spent."""

    code = "deferred"

    def __init__(self, message: str, *, seconds: float, **detail: Any) -> None:
        super().__init__(message, seconds=round(seconds, 3), **detail)
        self.seconds = seconds


class NoPermit(DeferredError):
    """The provider's quota has no permit for this priority now."""

    code = "no_permit"


class Throttled(DeferredError):
    """The provider responded 429. `seconds` is its Retry-After, capped."""

    code = "throttled"


class CircuitOpen(DeferredError):
    """The circuit breaker of every endpoint of the provider is open."""

    code = "circuit_open"


class ProviderHeld(DeferredError):
    """The provider accepts no calls now, and the caller chose not to wait; nothing was accepted.

    `detail` has the `reason` (`breaker`, `paused` or `blocked`) and, where it is known,
    `next_probe_at`, the ISO 8601 time of the next call to it. `seconds` is how long to wait before
    trying again.
    """

    code = "provider_held"


class BacklogFull(DeferredError):
    """Too much work is already waiting for this provider; the job was refused."""

    code = "backlog_full"


class TooManyRequests(DeferredError):
    """The HTTP service takes no more requests of this caller, or of all, for `seconds`."""

    code = "too_many_requests"


class PermanentError(SisgateError):
    """Trying again changes nothing: something must be corrected first."""

    code = "permanent"


class ConfigurationError(PermanentError):
    """The configuration is wrong. `problems` lists every mistake with its place."""

    code = "configuration"

    def __init__(self, message: str, *, problems: list[str] | None = None, **detail: Any) -> None:
        self.problems = problems or []
        text = "\n".join([message, *(f"  {p}" for p in self.problems)])
        super().__init__(text, **detail)


class UsageError(PermanentError):
    """The call itself is wrong."""

    code = "usage"


class NotFound(UsageError):
    """Nothing has that name or id."""

    code = "not_found"


class UnknownProvider(NotFound):
    """No provider of that name is configured."""

    code = "unknown_provider"


class ProviderRemoved(UnknownProvider):
    """The provider was removed from the configuration; `detail` has the `version` that did it."""

    code = "provider_removed"


class UnknownResource(NotFound):
    """The provider's kind does not offer that resource."""

    code = "unknown_resource"


class UnknownJob(NotFound):
    """No job has that id."""

    code = "unknown_job"


class IdempotencyConflict(UsageError):
    """The idempotency key was already used with other arguments."""

    code = "idempotency_conflict"


class InvalidState(UsageError):
    """The state of the job or message does not allow this."""

    code = "invalid_state"


class UnknownToken(NotFound):
    """No access token has that id."""

    code = "unknown_token"


class UnknownRecord(NotFound):
    """The dataset has no record of that id."""

    code = "unknown_record"


class UnknownPerson(NotFound):
    """The provider has no record of that person."""

    code = "unknown_person"


class UnknownMessage(NotFound):
    """No message of that id is in quarantine, or of a webhook."""

    code = "unknown_message"


class UnknownKey(NotFound):
    """No key of the provider has that id."""

    code = "unknown_key"


class UnknownSchedule(NotFound):
    """No schedule of that name is configured."""

    code = "unknown_schedule"


class UnknownWebhook(NotFound):
    """No webhook has that id."""

    code = "unknown_webhook"


class UnknownErrorPattern(NotFound):
    """No pattern of errors has that id."""

    code = "unknown_error_pattern"


class UnknownAlert(NotFound):
    """No alert or silence has that id."""

    code = "unknown_alert"


class UnknownVersion(NotFound):
    """The configuration has no such version."""

    code = "unknown_version"


class ConfigurationConflict(UsageError):
    """Another version of the configuration was applied first; nothing was changed."""

    code = "configuration_conflict"


class CursorAhead(UsageError):
    """The cursor is above the newest change, as after a restore of an older backup.

    Read the dataset from the start. `detail` has `newest`, the number to continue from.
    """

    code = "cursor_ahead"


class CursorTooOld(UsageError):
    """Changes or events after the cursor have been deleted: read the dataset from the start.

    `detail` has `horizon`, the last deleted number, and `newest`.
    """

    code = "cursor_too_old"


class AccessDenied(PermanentError):
    """The caller may not do that."""

    code = "access_denied"


class NotAuthenticated(AccessDenied):
    """There is no token, or it is invalid."""

    code = "not_authenticated"


class CredentialError(PermanentError):
    """No usable key, or a stored secret cannot be opened with the master key."""

    code = "credentials"


class MasterKeyMissing(CredentialError):
    """A master key or audit key of this installation is missing or unreadable in this process."""

    code = "master_key_missing"


class SecretChanged(CredentialError):
    """A stored secret was changed or moved in the database, so it does not open."""

    code = "secret_changed"


class TokenRefused(CredentialError):
    """The provider's token endpoint refused our credentials."""

    code = "token_refused"


class KeySourceFailed(CredentialError):
    """A key source produced no new key, or could not revoke an old one."""

    code = "key_source_failed"


class ProviderRefused(PermanentError):
    """The provider responded 4xx. `detail` has its status, message and request id."""

    code = "provider_refused"


class AnswerInvalid(PermanentError):
    """The provider's response is complete but not in its dialect, or is too large.

    `is_final`: repeating the call changes nothing.
    """

    code = "answer_invalid"

    def __init__(self, message: str, *, is_final: bool = False, **detail: Any) -> None:
        super().__init__(message, **detail)
        self.is_final = is_final


class TransformFailed(PermanentError):
    """A transform of the configuration cannot be applied. `detail` has its `rule` and `place`."""

    code = "transform_failed"


class AuditError(PermanentError):
    """The audit log could not be sealed, archived or read, or its head could not be stored."""

    code = "audit"


class JobFailed(PermanentError):
    """The job ended without success; `detail` says how."""

    code = "job_failed"


class JobCancelled(JobFailed):
    """The job was cancelled."""

    code = "job_cancelled"


class OutcomeUnknown(JobFailed):
    """A request that changes something was sent, and its outcome is unknown.

    It is not repeated. Check with the provider, then record the outcome: `gateway.jobs.resolve`.
    """

    code = "outcome_unknown"


class JobExpired(JobFailed):
    """The job's deadline passed before it ended."""

    code = "job_expired"
