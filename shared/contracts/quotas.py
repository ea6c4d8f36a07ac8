"""How many jobs of a project may run and wait."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from shared.contracts.base import Contract, Int, Name


class QuotaSpec(Contract):
    """The bounds of a project; null is no bound."""

    max_running: Annotated[Int, Field(ge=0, le=1_000_000)] | None = None
    """Jobs at work at once, from the moment they start; 0 lets none start."""
    max_queued: Annotated[Int, Field(ge=0, le=1_000_000)] | None = None
    """Jobs that may wait; submissions past it answer 429 `project_queue_full`."""


class QuotaView(Contract):
    """The bounds of a project, and who set them."""

    project: Name
    max_running: Int | None = None
    max_queued: Int | None = None
    version: Int
    """0 when nobody ever set them; the `ETag` of the answer."""
    updated_at: datetime | None = None
    updated_by: str | None = None


class QuotaList(Contract):
    """Every quota that was set."""

    data: list[QuotaView]
