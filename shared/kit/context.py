"""What belongs to the request being served: its id, its trace, its caller."""

import re
import secrets
from contextvars import ContextVar

_REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{1,64}$")
_TRACEPARENT = re.compile(r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")

request_id: ContextVar[str] = ContextVar("request_id", default="")
traceparent: ContextVar[str | None] = ContextVar("traceparent", default=None)


def accept_request_id(offered: str | None) -> str:
    """The caller's id when it is harmless, else a new one."""
    return offered if offered and _REQUEST_ID.match(offered) else f"req-{secrets.token_hex(8)}"


def accept_traceparent(offered: str | None) -> str:
    """The caller's W3C trace context when well-formed, else the root of a new trace."""
    if offered and _TRACEPARENT.match(offered):
        return offered
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
