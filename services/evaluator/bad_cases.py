"""Picks the questions that went worst, with what both models said."""

from collections.abc import Sequence

from services.evaluator.contest import Sheet
from services.evaluator.suites import Question
from shared.contracts.base import JsonObject

SHOWN = 20
_LONGEST = 2_000
"""Characters of a text that are shown; the whole of it is in `answers.jsonl`."""


def bad_cases(
    questions: Sequence[Question], model: Sheet, baseline: Sheet | None, most: int = SHOWN
) -> list[JsonObject]:
    """The worst answers first: lowest chrF, then highest loss; exact answers are never among them."""
    wrong = [index for index, exact in enumerate(model.scores["exact_match"]) if exact < 1.0]
    wrong.sort(key=lambda index: (model.scores["chrf"][index], -model.surprises[index].mean, index))
    return [_case(questions[index], index, model, baseline) for index in wrong[:most]]


def _case(question: Question, index: int, model: Sheet, baseline: Sheet | None) -> JsonObject:
    case: JsonObject = {
        "row": question.row,
        "question": question.text[:_LONGEST],
        "reference": question.reference[:_LONGEST],
        "answer": model.answers[index][:_LONGEST],
        "scores": dict(model.row(index)),
    }
    if baseline is None:
        return case
    return {
        **case,
        "baselineAnswer": baseline.answers[index][:_LONGEST],
        "baselineScores": dict(baseline.row(index)),
        "baselineWasBetter": baseline.scores["chrf"][index] > model.scores["chrf"][index],
    }
