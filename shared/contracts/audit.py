"""Changes that people made."""

from datetime import datetime

from shared.contracts.base import Contract, Int, JsonObject


class ChangeView(Contract):
    """One change that somebody made."""

    at: datetime
    who: str
    action: str
    subject: str
    """What was changed, as `kind:name`."""
    before: JsonObject | None = None
    after: JsonObject | None = None


class ChangeList(Contract):
    """Changes, newest first."""

    data: list[ChangeView]


class ChangePage(Contract):
    """A page of changes, newest first."""

    data: list[ChangeView]
    has_more: bool
    next_cursor: Int | None = None
