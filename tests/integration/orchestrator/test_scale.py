"""A long queue costs nothing until a slot is free, and a free slot is filled at once."""

from dataclasses import replace
from datetime import UTC, datetime

from orchestrator.domain.job import Inputs, Job, NewJob
from orchestrator.domain.ports import UnitOfWork
from orchestrator.domain.queueing.lanes import Line
from orchestrator.domain.queueing.planning import in_order
from shared.contracts.jobs import Phase
from shared.contracts.work import JobKind, Outcome
from shared.kit.ids import new_id
from tests.fakes.worker import MADE_MODEL
from tests.integration.orchestrator.mesh import Mesh
from tests.waiting import eventually


def _many(count: int) -> list[NewJob]:
    now = datetime.now(UTC)
    job = Job(
        job_id="", kind=JobKind.TRAINING, worker="training", project="default", spec={}, inputs=Inputs(),
        phase=Phase.QUEUED, why="waits", created_at=now, updated_at=now, turn=now,
    )  # fmt: skip
    return [NewJob(replace(job, job_id=new_id("job")), "nobody") for _ in range(count)]


def _first(line: Line) -> list[str]:
    return [waiting.job_id for waiting, _ in in_order(line)]


def test_the_first_of_ten_thousand_waiting_jobs_starts_when_a_slot_is_free(mesh: Mesh) -> None:
    mesh.worker.slots = 0
    crowd = _many(10_000)
    mesh.wiring.units.write(lambda uow: uow.jobs.add(crowd))

    def turn(uow: UnitOfWork) -> tuple[list[str], list[str], list[str]]:
        now = datetime.now(UTC)
        return uow.jobs.due(now, 64), uow.line.awaited(["training"]), _first(uow.line.look("training", now, 1))

    due, queued, head = mesh.wiring.units.read(turn)
    assert (due, queued, head) == ([], ["training"], [min(new.job.job_id for new in crowd)])
    mesh.worker.slots = 1
    mesh.until(head[0], "running")


def test_a_freed_slot_is_filled_without_waiting_for_the_tick(mesh: Mesh) -> None:
    mesh.settings = mesh.settings.model_copy(update={"look_interval_s": 20.0})
    mesh.restart()
    first, second = mesh.submit(), mesh.submit()
    mesh.until(first, "running", within_s=3)
    mesh.worker.end(f"{first}.1", Outcome.SUCCEEDED, result=MADE_MODEL)
    mesh.wiring.reconciler.hints.add(first)
    eventually(lambda: mesh.job(second)["status"], lambda status: status == "running", within_s=3)
