"""Asks the worker about an attempt; no transaction is open meanwhile."""

from collections.abc import Awaitable

from orchestrator.domain.job import Attempt, Job
from orchestrator.domain.observations import Gone, Missing, Observation, Prerequisites, Refused, Seen, Silent
from orchestrator.domain.peers import Peers
from orchestrator.domain.ports import UnitOfWork
from orchestrator.domain.workers import WorkerForgotten
from shared.contracts.jobs import TERMINAL, Phase
from shared.contracts.work import AttemptView
from shared.kit.errors import ImtsError, NotFound

ATTEMPT_NOT_FOUND = "attempt_not_found"
_PASSING = frozenset({"no_capacity", "draining"})
"""A worker's own words for "not now". Any other 429 or 503 may come from something in between, behind which the
attempt may well have been taken on."""


async def hear(answer: Awaitable[AttemptView], *, just_asked: bool = False) -> Observation:
    """What a worker's answer, refusal or silence tells; only its own words about the attempt count as an answer."""
    try:
        return Seen(await answer, just_asked)
    except WorkerForgotten as fault:
        return Gone(fault.message)
    except NotFound as fault:
        # Any other 404 is a stranger at that address, who knows nothing about our attempts.
        return Missing(just_asked) if fault.code == ATTEMPT_NOT_FOUND else Silent(fault.message)
    except ImtsError as fault:
        if fault.code in _PASSING:
            return Refused(fault.code, fault.message, is_passing=True)
        if fault.status >= 500 or fault.status in {401, 403, 429}:
            return Silent(fault.message)
        return Refused(fault.code, fault.message, is_passing=False)


async def observe(peers: Peers, job: Job, attempt: Attempt | None) -> Observation:
    """The attempt as its worker sees it; an attempt whose end is written down is not asked about again."""
    if attempt is None or attempt.exit is not None or job.is_waiting:
        return None
    return await hear(look(peers, attempt.worker or job.worker, attempt))


async def look(peers: Peers, worker: str, attempt: Attempt) -> AttemptView:
    """The attempt as this worker sees it."""
    return await peers.at(worker).look(attempt.attempt_id)


def prerequisites(uow: UnitOfWork, job: Job) -> Prerequisites:
    """How the jobs stand that a queued job depends on; one that was deleted cannot succeed any more."""
    phases = uow.jobs.phases(job.terms.depends_on)
    failed = [name for name in job.terms.depends_on if phases.get(name, Phase.FAILED) in TERMINAL - {Phase.SUCCEEDED}]
    return Prerequisites([name for name, phase in phases.items() if phase not in TERMINAL], next(iter(failed), None))
