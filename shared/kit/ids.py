"""Identifiers that sort by the time they were made."""

import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def _base32(value: int, length: int) -> str:
    return "".join(_ALPHABET[(value >> (5 * place)) & 31] for place in reversed(range(length)))


def new_id(prefix: str) -> str:
    """`<prefix>-` and a ULID in lower case: 48 bits of milliseconds, 80 random bits (ulid/spec)."""
    return f"{prefix}-{_base32(time.time_ns() // 1_000_000, 10)}{_base32(secrets.randbits(80), 16)}"
