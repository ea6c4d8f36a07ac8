"""Asks another service to do something; each deed may be done twice."""

from orchestrator.domain.decisions import CONTROLS, Act, Deed
from orchestrator.domain.job import Attempt, Job
from orchestrator.domain.observations import Observation, Sealed, Silent
from orchestrator.domain.peers import Peers, StreamPeer
from orchestrator.reconciler.observe import hear
from shared.contracts.events import job_topic
from shared.contracts.work import AttemptSpec, AttemptView
from shared.kit.errors import ImtsError


def attempt_spec(job: Job, attempt: Attempt) -> AttemptSpec:
    """All the worker needs; the same for every repeat of the request."""
    return AttemptSpec(
        attempt_id=attempt.attempt_id, job_id=job.job_id, number=attempt.number, kind=job.kind, cause=attempt.cause,
        spec=job.spec, datasets=job.inputs.datasets, models=job.inputs.models,
        resources=job.terms.resources, traceparent=job.traceparent,
    )  # fmt: skip


async def seal_at(stream: StreamPeer, attempt: Attempt) -> Sealed | Silent:
    """Close an ended attempt's numbering in the log; one that no worker ever took ends at nothing."""
    last_seq = attempt.exit.last_seq if attempt.exit is not None else 0
    try:
        mark = await stream.seal(job_topic(attempt.job_id), attempt.attempt_id, last_seq)
    except ImtsError as fault:
        return Silent(fault.message)
    return Sealed(mark.is_drained, mark.accepted_through)


async def act(peers: Peers, job: Job, attempt: Attempt, wanted: Act) -> Observation:
    """Do it; the answer is the next observation."""
    if wanted.deed is Deed.SEAL:
        return await seal_at(peers.stream, attempt)
    return await hear(_ask(peers, job, attempt, wanted.deed), just_asked=wanted.deed is not Deed.START)


async def _ask(peers: Peers, job: Job, attempt: Attempt, deed: Deed) -> AttemptView:
    worker = peers.at(attempt.worker or job.worker)
    if deed is Deed.START:
        return await worker.start(attempt_spec(job, attempt))
    return await worker.control(attempt.attempt_id, CONTROLS[deed])
