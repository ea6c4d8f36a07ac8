"""Who changed what, when, from what to what."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.contracts.base import JsonObject


@dataclass(frozen=True, slots=True)
class By:
    """Who asks for a change, and when."""

    who: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """One change that somebody made."""

    at: datetime
    who: str
    action: str
    subject: str
    """What was changed, as `kind:name`."""
    before: JsonObject | None
    after: JsonObject | None
    entry_id: int | None = None
    """Its place among all changes; None before it is written down."""


class AuditRepository(Protocol):
    """Changes, newest first; they are added in the transaction that makes them, and read, never changed."""

    def add(self, *changes: Change) -> None: ...

    def of(self, subject: str, limit: int) -> list[Change]: ...

    def page(self, before: int | None, limit: int) -> list[Change]:
        """Those with a lower place than `before`."""
        ...
