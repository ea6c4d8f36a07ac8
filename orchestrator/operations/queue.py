"""Explaining to people what their waiting jobs wait for."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.domain.job import Job
from orchestrator.domain.peers import Peers
from orchestrator.domain.ports import UnitOfWork
from orchestrator.domain.queueing.board import Standing, WorkerBoard
from orchestrator.domain.queueing.estimating import typical_s
from orchestrator.domain.queueing.explaining import Explained, Facts, explain
from orchestrator.domain.queueing.lanes import Line
from shared.kit.clock import Clock

_SAMPLE = 50
"""Finished jobs looked at for an estimate."""


@dataclass(frozen=True, slots=True)
class Explainer:
    """Joins the rows with what the workers said last."""

    peers: Peers
    board: WorkerBoard
    clock: Clock

    def one(self, uow: UnitOfWork, job: Job) -> Explained | None:
        """Everything about one job; None when it does not wait."""
        if not job.is_waiting:
            return None
        facts = Facts(
            uow.line.bounds(), self._workers(job), self.clock.now(), uow.line.ahead(job),
            uow.line.running_since(job.worker), typical_s(job, uow.line.finished_like(job, _SAMPLE)),
        )  # fmt: skip
        return explain(job, facts)

    def many(self, uow: UnitOfWork, jobs: Sequence[Job]) -> dict[str, Explained]:
        """What those of `jobs` that wait wait for, by id, without counting the line: two queries, however many jobs."""
        waiting = [job for job in jobs if job.is_waiting]
        line = uow.line.bounds() if waiting else Line({}, {}, {})
        now = self.clock.now()
        return {job.job_id: explain(job, Facts(line, self._workers(job), now)) for job in waiting}

    def _workers(self, job: Job) -> dict[str, Standing]:
        return {name: self.board.of(name) for name in self.peers.of_service(job.worker)}
