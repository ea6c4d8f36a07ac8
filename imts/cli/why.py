"""`imts why`: whose fault it is that a job did not succeed, on what evidence, and what to do."""

from collections.abc import Iterator

from pydantic import JsonValue

from imts.cli.connecting import connect
from imts.cli.output import AsJson, JobArgument, print_json
from shared.contracts.base import JsonObject
from shared.contracts.jobs import AttemptSummary, FailureView, JobView
from shared.contracts.work import Evidence


def why(job: JobArgument, as_json: AsJson = False) -> None:
    """Explain a failure: whose fault, on what evidence, what to change. With --json: the job's attempts."""
    with connect() as client:
        view, attempts = client.jobs.get(job), client.jobs.attempts(job)
    if as_json:
        print_json(attempts)
        return
    for line in explained(view, attempts.data):
        print(line)


def explained(job: JobView, attempts: list[AttemptSummary]) -> Iterator[str]:
    """The job in a sentence, then each failure: the job's own, or those of attempts that were made up for."""
    yield f"{job.job_id} {job.status}: {job.why}"
    shown = attempts[-1:] if job.failure is not None else attempts
    for attempt in shown:
        if attempt.failure is not None:
            yield ""
            yield from _told(f"attempt {attempt.number}", attempt.failure, job)
    if job.failure is not None and not any(attempt.failure for attempt in shown):
        yield ""
        yield from _told("the job", job.failure, job)


def _told(who: str, failure: FailureView, job: JobView) -> Iterator[str]:
    yield f"{who}: {failure.reason} (class {failure.failure_class})"
    yield f"  {failure.message}"
    for item in failure.evidence:
        yield f"  {_source(item):<12} {item.text}"
    if failure.suggestion is not None:
        yield f"  what to do   {failure.suggestion.advice}"
        if failure.suggestion.patch:
            yield f"  change       {', '.join(_changes(failure.suggestion.patch, job.spec))}"
            yield f"               imts retry {job.job_id} --suggested"


def _source(item: Evidence) -> str:
    return item.source if item.offset is None else f"{item.source}@{item.offset}"


def _changes(patch: JsonObject, spec: JsonObject) -> Iterator[str]:
    for field, value in patch.items():
        before: JsonValue = spec.get(field)
        yield f"{field} {value}" if before is None else f"{field} {before} → {value}"
