"""Runs one evaluation, inside its own process."""

import json

import torch

from services.evaluator.contest import Sheet, sit
from services.evaluator.inference import LoadedModel
from services.evaluator.report import Report
from services.evaluator.suites import Suite, read_suite
from shared.contracts.evaluation import EvaluationSpec
from shared.contracts.failures import Reason
from shared.contracts.work import Artifact, DatasetInput
from shared.kit.artifacts import ArtifactStore
from shared.worker.attempt import Attempt, Result, UserFault
from shared.worker.meter import Meter


def run(attempt: Attempt) -> Result:
    """Let the model, and the baseline if there is one, sit the suite; leave `report.json` and `answers.jsonl`."""
    spec = EvaluationSpec.model_validate(attempt.spec.spec)
    suite = _suite(attempt.store, attempt.spec.datasets["test"], spec.max_rows)
    roles = [role for role in ("model", "baseline") if role in attempt.spec.models]
    meter = Meter(attempt, 2 * len(suite.questions) * len(roles))
    sheets: dict[str, Sheet] = {}
    for role in roles:
        torch.manual_seed(spec.seed)
        model = LoadedModel(attempt.spec.models[role], attempt.store)
        sheets[role] = sit(model, suite.questions, spec, meter.advance)
        model.close()
    report = Report(attempt.spec, suite, sheets["model"], sheets.get("baseline"), spec.seed)
    return Result(result=report.summary(), artifacts=_store(attempt, report))


def _suite(store: ArtifactStore, dataset: DatasetInput, most_rows: int | None) -> Suite:
    suite = read_suite(store.local_path(dataset.sha256), most_rows)
    if not suite.questions:
        raise UserFault(
            Reason.NO_QUESTIONS,
            f"dataset: no row of {dataset.name} has a question and an answer to compare with; name another data set",
        )
    return suite


def _store(attempt: Attempt, report: Report) -> list[Artifact]:
    """Put the report and the table into the artifact store."""
    answers = attempt.folder / "answers.jsonl"
    report.write_answers(answers)
    table = attempt.store.put_file(answers)
    answers.unlink()
    body = attempt.store.put_bytes(json.dumps(report.full(), ensure_ascii=False, indent=1, allow_nan=False).encode())
    return [
        Artifact(name="report.json", sha256=body.sha256, size=body.size, media_type="application/json"),
        Artifact(name="answers.jsonl", sha256=table.sha256, size=table.size, media_type="application/x-ndjson"),
    ]
