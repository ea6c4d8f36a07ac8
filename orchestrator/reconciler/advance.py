"""Takes one job as far as it goes now: observe, decide, act or record, again until there is nothing left to do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from orchestrator.domain.decisions import Act, Condemn, Decision, End, Enter, Move, Policy, Wait, decide
from orchestrator.domain.job import Attempt, Leased
from orchestrator.domain.job_machine import WORKING
from orchestrator.domain.observations import Missing, Observation
from orchestrator.domain.peers import Peers
from orchestrator.domain.ports import Signals, UnitOfWork, UnitsOfWork
from orchestrator.domain.recording import WriteLost
from orchestrator.reconciler.act import act
from orchestrator.reconciler.gauges import LEASES_LOST, count_end, count_move
from orchestrator.reconciler.observe import observe, prerequisites
from orchestrator.reconciler.record import write_end, write_entry, write_move, write_verdict, write_wait
from shared.contracts.jobs import Phase
from shared.kit.clock import Clock
from shared.kit.logs import log_context, logger
from shared.kit.tasks import in_thread

T = TypeVar("T")
_MAX_STEPS = 24
"""More than any honest chain of decisions; the next turn goes on."""


@dataclass(frozen=True, slots=True)
class Advance:
    """What taking jobs forward needs."""

    units: UnitsOfWork
    peers: Peers
    clock: Clock
    signals: Signals
    policy: Policy

    async def __call__(self, held: Leased, seen: Observation = None) -> float | None:
        """Until when the job may be left alone, in seconds; None when nothing is due."""
        with log_context(job_id=held.job.job_id):
            for _ in range(_MAX_STEPS):
                attempt = await in_thread(self._attempt, held)
                if seen is None:
                    seen = await self._observe(held, attempt)
                decision = decide(held.job, attempt, seen, self.clock.now(), self.policy)
                try:
                    after = await self._carry_out(held, attempt, decision)
                except WriteLost:
                    fresh = await in_thread(self._refresh, held)
                    if fresh is None:
                        logger.info("another writer took the job; this look is dropped")
                        LEASES_LOST.inc()
                        return None
                    held, seen = fresh, None
                    continue
                if isinstance(decision, Wait):
                    return decision.delay_s
                held, seen = after
                if held.job.phase not in WORKING:
                    return decision.delay_s if isinstance(decision, Move) else 0.0
        return 0.0

    async def _observe(self, held: Leased, attempt: Attempt | None) -> Observation:
        if held.job.is_waiting and held.job.terms.depends_on and not held.job.attempt:
            return await in_thread(self.units.read, lambda uow: prerequisites(uow, held.job))
        return await observe(self.peers, held.job, attempt)

    def _attempt(self, held: Leased) -> Attempt | None:
        job = held.job
        return self.units.read(lambda uow: uow.attempts.find(job.job_id, job.attempt)) if job.attempt else None

    def _refresh(self, held: Leased) -> Leased | None:
        job = self.units.read(lambda uow: uow.jobs.find_held(held.job.job_id, held.token))
        return None if job is None else Leased(job, held.token)

    async def _write(self, work: Callable[[UnitOfWork], T]) -> T:
        return await in_thread(self.units.write, work)

    async def _carry_out(self, held: Leased, attempt: Attempt | None, decision: Decision) -> tuple[Leased, Observation]:
        now = self.clock.now()
        match decision:
            case Act():
                assert attempt is not None
                logger.debug("asks for {}: {}", decision.deed, decision.why)
                return held, await act(self.peers, held.job, attempt, decision)
            case Move():
                job = await self._write(lambda uow: write_move(uow, held, decision, now))
                self.signals.outbox_grew()
                count_move(job)
                logger.info("{} -> {}: {}", held.job.phase, job.phase, job.why)
                # An attempt that was just written down has never been asked for: no need to hear that it is missing.
                return Leased(job, held.token), Missing() if job.phase is Phase.STARTING else None
            case Condemn():
                job = await self._write(lambda uow: write_verdict(uow, held, decision, now))
                logger.warning("attempt {} is ended: {}", job.attempt, decision.why)
                return Leased(job, held.token), None
            case End():
                job = await self._write(lambda uow: write_end(uow, held, decision, now))
                count_end(job, decision.report)
                return Leased(job, held.token), None
            case Enter():
                job = await self._write(lambda uow: write_entry(uow, held, decision.why, now))
                return Leased(job, held.token), None
            case Wait():
                job = await self._write(lambda uow: write_wait(uow, held, decision, now))
                return Leased(job, held.token), None
