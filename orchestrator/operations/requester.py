"""Who asks for something to be made, and making it once however often they ask."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from orchestrator.domain.audit import Change
from orchestrator.domain.idempotency import IdempotencyKey, replayed
from orchestrator.domain.ports import AlreadyThere, UnitOfWork, UnitsOfWork
from shared.contracts.base import JsonObject
from shared.kit.errors import Conflict

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks, for which project, and under which name of their own."""

    caller: str
    project: str = "default"
    idempotency_key: str | None = None

    def key_for(self, request_hash: str) -> IdempotencyKey | None:
        """Their name for a request, if they gave it one."""
        if self.idempotency_key is None:
            return None
        return IdempotencyKey(self.caller, self.idempotency_key, request_hash)


@dataclass(frozen=True, slots=True)
class Created(Generic[T]):
    """What a request stands for; `is_replay` when its key was used before."""

    thing: T
    is_replay: bool


@dataclass(frozen=True, slots=True)
class Made(Generic[T]):
    """What a transaction made: under which id, and what the audit says of it; None when it was there before."""

    thing: T
    subject: str
    action: str
    after: JsonObject | None


def find_made(uow: UnitOfWork, key: IdempotencyKey | None, find: Callable[[UnitOfWork, str], T]) -> Created[T] | None:
    """What the key made before; Conflict when it was for another request."""
    subject = replayed(uow.requests, key)
    return None if subject is None else Created(find(uow, subject.partition(":")[2]), is_replay=True)


def make_once(
    units: UnitsOfWork,
    requester: Requester,
    request_hash: str,
    at: datetime,
    find: Callable[[UnitOfWork, str], T],
    make: Callable[[UnitOfWork], Made[T]],
) -> Created[T]:
    """Make it, with its audit row and its key in the same transaction, unless the key made it before."""
    key = requester.key_for(request_hash)

    def write(uow: UnitOfWork) -> Created[T]:
        known = find_made(uow, key, find)
        if known is not None:
            return known
        made = make(uow)
        if made.after is not None:
            uow.audit.add(Change(at, requester.caller, made.action, made.subject, None, made.after))
        if key is not None:
            uow.requests.add(key, made.subject, at)
        return Created(made.thing, is_replay=False)

    return while_keys_are_taken(lambda: units.write(write))


def while_keys_are_taken(write: Callable[[], T]) -> T:
    """Once more when another replica was quicker with the key: what it wrote is there to be found now."""
    for _ in range(2):
        try:
            return write()
        except AlreadyThere:
            continue
    raise Conflict("another request holds this Idempotency-Key; try again", code="idempotency_key_busy")
