"""Whether all that a job's attempts said is in the log, and where it breaks off when the rest can never come."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.domain.job import Attempt
from orchestrator.domain.observations import Gone, Missing, Silent
from orchestrator.domain.peers import Peers
from orchestrator.reconciler.act import seal_at
from orchestrator.reconciler.observe import hear, look
from shared.contracts.work import Outcome


@dataclass(frozen=True, slots=True)
class Gap:
    """An attempt whose events are missing from this number on, for good."""

    attempt: int
    first_missing: int


async def find_gaps(peers: Peers, attempts: Sequence[Attempt]) -> list[Gap] | None:
    """Where the logs of sealed attempts break off; None while something may still arrive."""
    gaps = []
    for attempt in attempts:
        sealed = await seal_at(peers.stream, attempt)
        if isinstance(sealed, Silent):
            return None
        if not sealed.is_drained and not await _is_lost(peers, attempt):
            return None
        if not sealed.is_drained or _was_cut(attempt, sealed.accepted_through):
            gaps.append(Gap(attempt.number, sealed.accepted_through + 1))
    return gaps


async def _is_lost(peers: Peers, attempt: Attempt) -> bool:
    """Only the worker's own word, or an operator's, says so; silence does not."""
    return attempt.worker is not None and isinstance(await hear(look(peers, attempt.worker, attempt)), Missing | Gone)


def _was_cut(attempt: Attempt, accepted_through: int) -> bool:
    """An attempt that was lost with its worker told nobody where its events end."""
    report = attempt.exit
    return report is not None and report.outcome is Outcome.WORKER_LOST and accepted_through > report.last_seq
