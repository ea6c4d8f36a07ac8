"""`imts train`, `imts analyse`, `imts evaluate`, `imts export`: jobs from key=value arguments or a file."""

from typing import Annotated

import typer

from imts.cli.connecting import connect
from imts.cli.fields import Fields, JobFile, read_fields
from imts.cli.output import AsJson, print_json
from imts.cli.watch import watch_job
from imts.client import Client
from shared.contracts.analysis import AnalysisSpec
from shared.contracts.evaluation import EvaluationSpec
from shared.contracts.exports import ExportSpec, Operation
from shared.contracts.jobs import JobView
from shared.contracts.training import TrainingSpec

Watch = Annotated[bool, typer.Option("--watch", "-w", help="Watch it until it has ended; exit code 1 if it fails.")]
Key = Annotated[str | None, typer.Option("--idempotency-key", help="Twice the same key is one job.")]


def _show(client: Client, job: JobView, *, is_watched: bool, as_json: bool) -> None:
    if is_watched:
        watch_job(client, job.job_id, as_json=as_json)
    elif as_json:
        print_json(job)
    else:
        print(f"{job.job_id} {job.status}; follow it with: imts watch {job.job_id}")


def train(
    fields: Fields = None, file: JobFile = None, watch: Watch = False, key: Key = None, as_json: AsJson = False
) -> None:
    """Fine-tune a model, as in: imts train modelName=tiny dataset=arithmetic epochs=3 --watch"""
    spec = read_fields(TrainingSpec, fields, file)
    with connect() as client:
        _show(client, client.jobs.train(spec, idempotency_key=key), is_watched=watch, as_json=as_json)


def analyse(
    fields: Fields = None, file: JobFile = None, watch: Watch = False, key: Key = None, as_json: AsJson = False
) -> None:
    """Analyse a data set, as in: imts analyse dataset=arithmetic modelName=tiny"""
    spec = read_fields(AnalysisSpec, fields, file)
    with connect() as client:
        _show(client, client.jobs.analyse(spec, idempotency_key=key), is_watched=watch, as_json=as_json)


def evaluate(
    fields: Fields = None, file: JobFile = None, watch: Watch = False, key: Key = None, as_json: AsJson = False
) -> None:
    """Evaluate a model, as in: imts evaluate dataset=test modelName=tuned baselineModel=tiny"""
    spec = read_fields(EvaluationSpec, fields, file)
    with connect() as client:
        _show(client, client.jobs.evaluate(spec, idempotency_key=key), is_watched=watch, as_json=as_json)


def export(
    operation: Operation,
    fields: Fields = None,
    file: JobFile = None,
    watch: Watch = False,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Merge a model or write it in another format, as in: imts export gguf modelName=tuned quantization=q8_0"""
    spec = {**read_fields(ExportSpec, fields, file), "operation": operation.value}
    with connect() as client:
        _show(client, client.jobs.export(spec, idempotency_key=key), is_watched=watch, as_json=as_json)
