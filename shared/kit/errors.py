"""The exception tree; class = code + HTTP status + retryable.

ImtsError
├── InvalidRequest 422 · MalformedRequest 400 · UnsupportedMediaType 415 · TooLarge 413
├── Unauthenticated 401 · Forbidden 403
├── NotFound 404 (code says what: `job_not_found` …)
├── Conflict 409 · SequenceGap 409 · ProducerSealed 409 · PreconditionFailed 412
├── RateLimited 429 (queue full, backlog full)
└── ServerFault 500 · Unavailable 503 · PeerUnavailable 503
"""

from shared.contracts.base import JsonObject


class ImtsError(Exception):
    """A fault with a stable code; carries all that the error body needs."""

    status = 500
    type = "server_error"
    code = "internal_error"
    retryable = False

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        details: JsonObject | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code or type(self).code
        self.details = details
        self.retry_after_s = retry_after_s


class InvalidRequest(ImtsError):
    """A field has a value that cannot be accepted."""

    status = 422
    type = "invalid_request_error"
    code = "invalid_value"


class MalformedRequest(InvalidRequest):
    """The body or URL cannot be read at all."""

    status = 400
    code = "malformed_request"


class UnsupportedMediaType(InvalidRequest):
    """The body is of a type this route does not read."""

    status = 415
    code = "unsupported_media_type"


class TooLarge(InvalidRequest):
    """The body is larger than the route takes."""

    status = 413
    code = "too_large"


class Unauthenticated(ImtsError):
    """No valid credential was shown."""

    status = 401
    type = "authentication_error"
    code = "unauthenticated"


class Forbidden(ImtsError):
    """The credential is valid but may not do this."""

    status = 403
    type = "permission_error"
    code = "forbidden"


class NotFound(ImtsError):
    """What the caller names does not exist, or is not theirs to see."""

    status = 404
    type = "not_found_error"
    code = "not_found"


class Conflict(ImtsError):
    """The request does not fit the present state."""

    status = 409
    type = "conflict_error"
    code = "conflict"


class PreconditionFailed(ImtsError):
    """What the caller read has been changed since."""

    status = 412
    type = "conflict_error"
    code = "precondition_failed"


class SequenceGap(Conflict):
    """A producer skipped numbers; `details.expected` is the next one the log takes."""

    code = "sequence_gap"


class ProducerSealed(Conflict):
    """A producer wrote past its seal: it is no longer the one that runs."""

    code = "producer_sealed"


class RateLimited(ImtsError):
    """Too much is waiting already; `Retry-After` says when to come back."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limited"
    retryable = True


class ServerFault(ImtsError):
    """A fault of ours that repeating will not mend."""


class Unavailable(ImtsError):
    """Not now: starting, draining, or a dependency is away."""

    status = 503
    code = "unavailable"
    retryable = True


class PeerUnavailable(Unavailable):
    """Another service did not answer; says nothing about what it did."""

    code = "peer_unavailable"


def _descendants(root: type[ImtsError]) -> list[type[ImtsError]]:
    return [root, *(found for child in root.__subclasses__() for found in _descendants(child))]


def error_for(status: int, code: str) -> type[ImtsError]:
    """The class a peer meant: by code, else the first with that status, else `ServerFault`."""
    tree = _descendants(ImtsError)
    by_code = [kind for kind in tree if kind.code == code and kind.status == status]
    by_status = [kind for kind in tree if kind.status == status]
    return next(iter(by_code or by_status), ServerFault)
