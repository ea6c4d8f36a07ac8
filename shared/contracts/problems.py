"""The one error body that every service answers with."""

from shared.contracts.base import JsonObject, WireModel


class Problem(WireModel):
    """What went wrong, for a program (`code`, `param`, `retryable`) and for a person (`message`)."""

    type: str
    """Family in OpenAI's words: `invalid_request_error`, `authentication_error`, `server_error` …"""
    code: str
    """Stable machine-readable name of the fault, e.g. `dataset_not_found`."""
    message: str
    """One sentence that names the field and the fix."""
    param: str | None = None
    """The offending field, in the caller's spelling, e.g. `learningRate`."""
    request_id: str = ""
    retryable: bool = False
    details: JsonObject | None = None
    """Facts a program needs to act on this code, e.g. `{"expected": 12}`; absent for most codes."""


class ProblemBody(WireModel):
    """The envelope: `{"error": {...}}`."""

    error: Problem
