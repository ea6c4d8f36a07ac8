"""Runs one evaluation, inside its own process."""

import json

import torch

from services.evaluator.contest import Sheet, sit
from services.evaluator.inference import LoadedModel
from services.evaluator.report import Report
from services.evaluator.suites import Suite, read_suite
from shared.contracts.evaluation import EvaluationSpec
from shared.contracts.events import PROGRESS
from shared.contracts.work import Artifact, DatasetInput
from shared.kit.artifacts import ArtifactStore
from shared.worker.attempt import Attempt, Result, UserFault


def run(attempt: Attempt) -> Result:
    """Let the model, and the baseline if there is one, sit the suite; leave `report.json` and `answers.jsonl`."""
    spec = EvaluationSpec.model_validate(attempt.spec.spec)
    suite = _suite(attempt.store, attempt.spec.datasets["test"], spec.max_rows)
    roles = [role for role in ("model", "baseline") if role in attempt.spec.models]
    progress = _Progress(attempt, 2 * len(suite.questions) * len(roles))
    sheets: dict[str, Sheet] = {}
    for role in roles:
        torch.manual_seed(spec.seed)
        model = LoadedModel(attempt.spec.models[role], attempt.store)
        sheets[role] = sit(model, suite.questions, spec, progress.advance)
        model.close()
    report = Report(attempt.spec, suite, sheets["model"], sheets.get("baseline"), spec.seed)
    return Result(result=report.summary(), artifacts=_store(attempt, report))


class _Progress:
    """Says how far the work has come, at most a hundred times."""

    def __init__(self, attempt: Attempt, total: int) -> None:
        self._attempt = attempt
        self._total = total
        self._done = 0
        self._said = -1

    def advance(self, what: str, count: int) -> None:
        """`count` more questions are done; an event follows when the percentage changed."""
        self._done += count
        percent = self._done * 100 // self._total
        if percent != self._said:
            self._said = percent
            self._attempt.emit(PROGRESS, {"done": self._done, "total": self._total, "what": what})


def _suite(store: ArtifactStore, dataset: DatasetInput, most_rows: int | None) -> Suite:
    suite = read_suite(store.local_path(dataset.sha256), most_rows)
    if not suite.questions:
        raise UserFault(
            "no_questions",
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
