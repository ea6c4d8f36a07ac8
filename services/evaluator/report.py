"""Writes what an evaluation found: a summary for the job, `report.json`, and a table of every question."""

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from services.evaluator.aggregate import Interval
from services.evaluator.bad_cases import bad_cases
from services.evaluator.comparison import comparison, gain_intervals, gains
from services.evaluator.contest import Sheet
from services.evaluator.suites import Suite
from shared.contracts.base import JsonObject
from shared.contracts.work import AttemptSpec


@dataclass(frozen=True, slots=True)
class Report:
    """All that an evaluation says."""

    attempt: AttemptSpec
    suite: Suite
    model: Sheet
    baseline: Sheet | None
    seed: int

    def summary(self) -> JsonObject:
        """The job's result."""
        found: JsonObject = {
            "rows": len(self.suite.questions),
            "skippedRows": self.suite.skipped,
            "cutRows": sum(self.model.cut),
            "model": _rounded(self.model.metrics()),
            "baseline": None,
            "gain": None,
        }
        intervals: JsonObject = {"model": _bounds(self.model.intervals(self.seed))}
        if self.baseline is not None:
            compared: JsonObject = {
                name: dict(counts) for name, counts in comparison(self.model, self.baseline).items()
            }
            found |= {
                "baseline": _rounded(self.baseline.metrics()),
                "gain": _rounded(gains(self.model, self.baseline)),
                "comparison": compared,
            }
            intervals |= {
                "baseline": _bounds(self.baseline.intervals(self.seed)),
                "gain": _bounds(gain_intervals(self.model, self.baseline, self.seed)),
            }
        return {**found, "intervals": intervals}

    def full(self) -> JsonObject:
        """`report.json`: the summary, what was asked of whom, and the worst answers."""
        models: JsonObject = {role: model.model_dump(mode="json") for role, model in self.attempt.models.items()}
        cases: list[JsonValue] = list(bad_cases(self.suite.questions, self.model, self.baseline))
        return {
            **self.summary(),
            "spec": self.attempt.spec,
            "dataset": self.attempt.datasets["test"].model_dump(mode="json"),
            "models": models,
            "badCases": cases,
        }

    def write_answers(self, path: Path) -> None:
        """`answers.jsonl`: one line a question, with both models' answers and scores."""
        with path.open("w", encoding="utf-8") as stream:
            for index in range(len(self.suite.questions)):
                stream.write(json.dumps(self._line(index), ensure_ascii=False, allow_nan=False) + "\n")

    def _line(self, index: int) -> JsonObject:
        question = self.suite.questions[index]
        messages: list[JsonValue] = list(question.messages)
        return {
            "row": question.row,
            "messages": messages,
            "reference": question.reference,
            "isCut": self.model.cut[index],
            "model": _answered(self.model, index),
            "baseline": None if self.baseline is None else _answered(self.baseline, index),
        }


def _answered(sheet: Sheet, index: int) -> JsonObject:
    return {"answer": sheet.answers[index], **sheet.row(index)}


def _rounded(metrics: dict[str, float]) -> JsonObject:
    return {name: round(value, 6) for name, value in metrics.items()}


def _bounds(intervals: dict[str, Interval]) -> JsonObject:
    return {name: [round(low, 6), round(high, 6)] for name, (low, high) in intervals.items()}
