"""Workers as an operator sees them."""

from datetime import datetime
from enum import StrEnum

from shared.contracts.base import Contract, Int
from shared.contracts.devices import DeviceView


class WorkerState(StrEnum):
    """What an operator said about a worker."""

    ACTIVE = "active"
    DRAINING = "draining"
    """No new attempts; running ones finish."""
    FORGOTTEN = "forgotten"
    """Gone for good: its attempts are lost, and what it still writes is refused."""


class WorkerView(Contract):
    """One worker: the operator's word about it, and its own."""

    name: str
    service: str | None = None
    """Absent for one that the settings no longer name."""
    state: WorkerState
    is_silent: bool
    """It does not answer; nothing is concluded from that."""
    at_work: Int
    """Jobs that it has, as the orchestrator knows."""
    slots: Int | None = None
    free: Int | None = None
    spares: Int | None = None
    gpus: Int | None = None
    """That may be promised to jobs."""
    free_gpus: Int | None = None
    devices: list[DeviceView] = []
    """What its machine computes with, the processor included, as last seen."""
    changed_at: datetime | None = None
    changed_by: str | None = None


class WorkerList(Contract):
    """Every worker that the settings name, and every other one that somebody spoke of."""

    data: list[WorkerView]
