"""`imts jobs`, and the verbs that change one or make another of it: stop, pause, resume, retry, clone, delete."""

from enum import StrEnum
from typing import Annotated

import typer

from imts.cli.connecting import connect
from imts.cli.fields import Fields, read_fields
from imts.cli.output import AsJson, JobArgument, Yes, print_json, print_table, shown
from shared.contracts.analysis import AnalysisSpec
from shared.contracts.base import Contract
from shared.contracts.evaluation import EvaluationSpec
from shared.contracts.exports import ExportSpec
from shared.contracts.jobs import JobView, Phase
from shared.contracts.models import MakeTinySpec
from shared.contracts.training import TrainingSpec
from shared.contracts.work import JobKind

FIELDS_OF: dict[JobKind, type[Contract]] = {
    JobKind.TRAINING: TrainingSpec,
    JobKind.ANALYSIS: AnalysisSpec,
    JobKind.EVALUATION: EvaluationSpec,
    JobKind.EXPORT: ExportSpec,
}
"""What a job of each kind is asked for with."""


def _fields_of(job: JobView) -> type[Contract]:
    return MakeTinySpec if job.spec.get("operation") == "make_tiny" else FIELDS_OF[job.kind]


class Kind(StrEnum):
    """Kinds of jobs that are listed by themselves."""

    TRAINING = "training"
    ANALYSIS = "analysis"
    EVALUATION = "evaluation"
    EXPORT = "export"


def _row(job: JobView) -> tuple[object, ...]:
    why = f"worker silent since {shown(job.unreachable_since)}" if job.unreachable_since else job.why
    return job.job_id, job.kind, job.status, f"{job.progress:.0%}", job.attempt, shown(job.created_at), why


def jobs(
    status: Annotated[Phase | None, typer.Option(help="Only jobs in this state.")] = None,
    kind: Annotated[Kind | None, typer.Option(help="Only jobs of this kind.")] = None,
    limit: int = 20,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    with connect() as client:
        page = client.jobs.list(kind=kind, status=status, limit=limit)
    if as_json:
        print_json(page)
    else:
        print_table(("job", "kind", "status", "done", "attempt", "created", "why"), [_row(job) for job in page.data])


def show_job(job: JobView, *, as_json: bool) -> None:
    """A job in one line, or as JSON."""
    if as_json:
        print_json(job)
    else:
        print(f"{job.job_id} {job.status}: {job.why}")


def stop(job: JobArgument, as_json: AsJson = False) -> None:
    """Stop a job after a checkpoint."""
    with connect() as client:
        show_job(client.jobs.stop(job), as_json=as_json)


def pause(job: JobArgument, as_json: AsJson = False) -> None:
    """Pause a training job at a checkpoint."""
    with connect() as client:
        show_job(client.jobs.pause(job), as_json=as_json)


def resume(job: JobArgument, as_json: AsJson = False) -> None:
    """Let a paused job go on."""
    with connect() as client:
        show_job(client.jobs.resume(job), as_json=as_json)


def retry(
    job: JobArgument,
    suggested: Annotated[bool, typer.Option("--suggested", help="With the changes that `imts why` names.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start a new job with the spec of an ended one."""
    with connect() as client:
        show_job(client.jobs.retry(job, suggested=suggested), as_json=as_json)


def delete(job: JobArgument, yes: Yes = False) -> None:
    """Delete a job that is over, with its checkpoints and its log; models and data sets stay."""
    with connect() as client:
        found = client.jobs.get(job)
        if not yes:
            typer.confirm(f"Delete the {found.status} {found.kind} job {job}?", abort=True, err=True)
        client.jobs.delete(job)
    print(f"{job} is deleted")


def clone(job: JobArgument, fields: Fields = None, as_json: AsJson = False) -> None:
    """Start a new job like any other, as in: imts clone JOB learningRate=1e-4"""
    with connect() as client:
        patch = read_fields(_fields_of(client.jobs.get(job)), fields) if fields else {}
        show_job(client.jobs.clone(job, patch), as_json=as_json)
