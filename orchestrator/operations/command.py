"""Telling a running training what to do: handed to its worker, which writes it down for the engine."""

import hashlib
from collections.abc import Callable

from orchestrator.domain.audit import By, Change
from orchestrator.domain.job import Job
from orchestrator.domain.peers import Peers
from orchestrator.domain.ports import Signals, UnitsOfWork
from orchestrator.operations.find import require_kind
from orchestrator.operations.pause import pause_job
from orchestrator.operations.resume import resume_job
from orchestrator.operations.stop import stop_job
from orchestrator.operations.wishes import refuse
from shared.contracts.base import JsonObject
from shared.contracts.commands import Action, Command, CommandRequest, CommandView
from shared.contracts.jobs import Phase
from shared.contracts.work import JobKind
from shared.kit.errors import Conflict, NotFound
from shared.kit.ids import new_id
from shared.kit.tasks import in_thread

_WISHES: dict[Action, Callable[[UnitsOfWork, Signals, str, JobKind | None, By], Job]] = {
    Action.PAUSE: pause_job,
    Action.RESUME: resume_job,
    Action.STOP: stop_job,
}


async def command_job(
    units: UnitsOfWork, peers: Peers, signals: Signals, job_id: str, asked: CommandRequest, by: By, key: str | None
) -> CommandView:
    """Have it done; Conflict unless the job runs. The same key for the same job is the same command."""
    if (wish := _WISHES.get(asked.action)) is not None:
        job = await in_thread(wish, units, signals, job_id, JobKind.TRAINING, by)
        return CommandView(job_id=job_id, status=job.phase, action=asked.action, attempt=job.attempt)
    job, attempt_id, worker = await in_thread(_running, units, job_id)
    command = Command(command_id=_command_id(job_id, by.who, key), action=asked.action, value=asked.value)
    try:
        await peers.at(worker).command(attempt_id, command)
    except NotFound:
        raise Conflict("the job's worker does not have it: look again", code="job_not_running", param="jobId") from None
    after: JsonObject = command.model_dump(mode="json")
    change = Change(by.at, by.who, f"command_{asked.action}", f"job:{job_id}", None, after)
    await in_thread(units.write, lambda uow: uow.audit.add(change))
    return CommandView(
        job_id=job_id, status=job.phase, action=asked.action, command_id=command.command_id, attempt=job.attempt
    )


def _running(units: UnitsOfWork, job_id: str) -> tuple[Job, str, str]:
    """The job, with its newest attempt's id and worker."""
    job, attempts = units.read(
        lambda uow: (require_kind(uow.jobs.find(job_id), JobKind.TRAINING), uow.attempts.of_job(job_id))
    )
    if job.phase is not Phase.RUNNING:
        raise refuse(job, "told what to do")
    newest = next(one for one in attempts if one.number == job.attempt)
    return job, newest.attempt_id, newest.worker or job.worker


def _command_id(job_id: str, who: str, key: str | None) -> str:
    if key is None:
        return new_id("cmd")
    return f"cmd-{hashlib.sha256(f'{job_id} {who} {key}'.encode()).hexdigest()[:26]}"
