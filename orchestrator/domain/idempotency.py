"""A caller's own names for requests: the same name and the same request have the same answer, whatever was made."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.contracts.base import JsonObject
from shared.contracts.scheduling import NO_TERMS, Scheduling
from shared.kit.errors import Conflict


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A caller's own name for a request, and what the request was."""

    caller: str
    key: str
    request_hash: str


@dataclass(frozen=True, slots=True)
class Answered:
    """What a request under a key made, as `kind:id`, and the hash of that request."""

    subject: str
    request_hash: str


class RequestRepository(Protocol):
    """Requests that came with a key. A job's lies in its row and goes with it; the others are kept for a while."""

    def find(self, caller: str, key: str) -> Answered | None: ...

    def add(self, key: IdempotencyKey, subject: str, at: datetime) -> None:
        """AlreadyThere when the caller used the key before."""
        ...

    def delete_before(self, before: datetime, limit: int) -> int: ...


def request_hash(kind: str, project: str, spec: JsonObject, terms: Scheduling = NO_TERMS) -> str:
    """What two requests under one key must share."""
    asked = terms.model_dump(mode="json", exclude_defaults=True)
    said = [kind, project, spec, *([asked] if asked else [])]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def replayed(requests: RequestRepository, key: IdempotencyKey | None) -> str | None:
    """What this key made before; Conflict when it was for another request."""
    known = None if key is None else requests.find(key.caller, key.key)
    if key is None or known is None:
        return None
    require_same(key, known.request_hash)
    return known.subject


def require_same(key: IdempotencyKey, known_hash: str) -> None:
    """Conflict unless the key was used for this very request."""
    if known_hash != key.request_hash:
        raise Conflict(
            "this Idempotency-Key was used for a different request; use a new key for a new request",
            param="Idempotency-Key", code="idempotency_key_reused",
        )  # fmt: skip
