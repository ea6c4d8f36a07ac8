"""Asks the worker about an attempt; no transaction is open meanwhile."""

from collections.abc import Awaitable

from orchestrator.domain.job import Attempt, Job
from orchestrator.domain.observations import Missing, Observation, Refused, Seen, Silent
from orchestrator.domain.ports import Peers
from shared.contracts.work import AttemptView
from shared.kit.errors import ImtsError, NotFound

ATTEMPT_NOT_FOUND = "attempt_not_found"
_PASSING = frozenset({429, 503})


async def hear(answer: Awaitable[AttemptView], *, just_asked: bool = False) -> Observation:
    """What a worker's answer, refusal or silence tells; only its own words about the attempt count as an answer."""
    try:
        return Seen(await answer, just_asked)
    except NotFound as fault:
        # Any other 404 is a stranger at that address, who knows nothing about our attempts.
        return Missing() if fault.code == ATTEMPT_NOT_FOUND else Silent(fault.message)
    except ImtsError as fault:
        if fault.code == "peer_unavailable" or (fault.status >= 500 and fault.status not in _PASSING):
            return Silent(fault.message)
        if fault.status in {401, 403}:
            return Silent(fault.message)
        return Refused(fault.code, fault.message, is_passing=fault.status in _PASSING)


async def observe(peers: Peers, job: Job, attempt: Attempt | None) -> Observation:
    """The attempt as its worker sees it; an attempt whose end is written down is not asked about again."""
    if attempt is None or attempt.exit is not None or job.is_waiting:
        return None
    return await hear(peers.of_kind(job.kind).look(attempt.attempt_id))
