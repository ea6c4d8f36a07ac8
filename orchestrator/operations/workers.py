"""An operator's word about workers."""

import asyncio
from collections.abc import Mapping
from typing import Any

from orchestrator.domain.audit import By, Change
from orchestrator.domain.peers import Peers
from orchestrator.domain.ports import AlreadyThere, Signals, UnitOfWork, UnitsOfWork
from orchestrator.domain.workers import Ruling
from shared.contracts.base import JsonObject
from shared.contracts.devices import DeviceView
from shared.contracts.work import Capacity
from shared.contracts.workers import WorkerState, WorkerView
from shared.kit.errors import ImtsError, NotFound
from shared.kit.tasks import in_thread

_ACTIONS = {
    WorkerState.ACTIVE: "admit_worker",
    WorkerState.DRAINING: "drain_worker",
    WorkerState.FORGOTTEN: "forget_worker",
}


async def list_workers(units: UnitsOfWork, peers: Peers) -> list[WorkerView]:
    """Every worker, each asked how it stands now."""
    rulings, at_work = await in_thread(units.read, lambda uow: (uow.workers.all(), uow.workers.at_work()))
    known = {ruling.name: ruling for ruling in rulings}
    names = sorted({*peers.workers, *known, *at_work})
    capacities = await asyncio.gather(*(_capacity(peers, name) for name in names))
    return [
        _view(peers, known.get(name, Ruling(name)), at_work, capacity)
        for name, capacity in zip(names, capacities, strict=True)
    ]


async def _capacity(peers: Peers, name: str) -> Capacity | None:
    try:
        return await peers.at(name).capacity()
    except ImtsError:
        return None


def _view(peers: Peers, ruling: Ruling, at_work: Mapping[str, int], capacity: Capacity | None) -> WorkerView:
    return WorkerView(
        name=ruling.name, service=peers.service_of(ruling.name), state=ruling.state, is_silent=capacity is None,
        at_work=at_work.get(ruling.name, 0), changed_at=ruling.changed_at, changed_by=ruling.changed_by,
        **(_room(capacity) if capacity else {}),
    )  # fmt: skip


def _room(capacity: Capacity) -> dict[str, Any]:
    same = {name: getattr(capacity, name) for name in ("slots", "free", "spares", "gpus", "free_gpus")}
    return {**same, "devices": [DeviceView.of(device) for device in capacity.devices]}


def _told(ruling: Ruling) -> JsonObject:
    return {"state": ruling.state.value}


def rule(units: UnitsOfWork, peers: Peers, signals: Signals, name: str, state: WorkerState, by: By) -> Ruling:
    """Say what holds for a worker from now on; NotFound for one that is in no settings and never had a job.

    Forgetting makes its unfinished attempts end as lost. Silence alone never does that.
    """

    def write(uow: UnitOfWork) -> Ruling:
        if name not in peers.workers and not uow.workers.has_been_used(name):
            known = ", ".join(sorted(peers.workers))
            raise NotFound(f"no worker is called {name}; there are {known}", param="name", code="worker_not_found")
        before = uow.workers.hold(name)
        if before.state is state:
            return before
        after = Ruling(name, state, by.at, by.who)
        uow.workers.save(after)
        if state is WorkerState.FORGOTTEN:
            uow.workers.let_go(name, by.at)
        uow.audit.add(Change(by.at, by.who, _ACTIONS[state], f"worker:{name}", _told(before), _told(after)))
        return after

    try:
        ruling = units.write(write)
    except AlreadyThere:
        # Someone else spoke of it first at the same moment: theirs is there to be held now.
        ruling = units.write(write)
    peers.roll.read(units.read(lambda uow: uow.workers.all()))
    signals.job_changed(name)
    return ruling
