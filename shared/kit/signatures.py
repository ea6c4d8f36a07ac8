"""Signatures of Standard Webhooks: secrets, and the three headers of a message."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

_MARK = "whsec_"
_KEY_BYTES = 32


def new_secret() -> str:
    """A receiver's half of the proof, as the specification writes it."""
    return _MARK + base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(_MARK))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def signed_headers(keys: Sequence[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Id, time and one signature for each of the secrets: a receiver that knows any of them accepts the message."""
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(_signature(key, signed) for key in keys),
    }
