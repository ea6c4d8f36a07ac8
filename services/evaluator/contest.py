"""Lets one model sit the whole suite: its answers, their scores, and its loss on the references."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.evaluator.aggregate import Interval, bootstrap, mean, wilson
from services.evaluator.held_out_loss import Surprise, held_out_loss
from services.evaluator.inference import LoadedModel
from services.evaluator.scorers import SCORERS
from services.evaluator.suites import Question
from shared.contracts.evaluation import EvaluationSpec

LOSS = "loss"
Advance = Callable[[str, int], None]
"""Told what is being done, and how many more questions are done."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """What one model made of every question, in the order of the suite."""

    name: str
    answers: list[str]
    scores: dict[str, list[float]]
    surprises: list[Surprise]
    cut: list[bool]

    def metrics(self) -> dict[str, float]:
        """Mean of each score; the loss per token."""
        found = {name: mean(values) for name, values in self.scores.items()}
        return {**found, LOSS: mean([one.total for one in self.surprises], [one.tokens for one in self.surprises])}

    def intervals(self, seed: int) -> dict[str, Interval]:
        """95% interval of each metric: Wilson's for the exact match, a bootstrap over questions for the others."""
        found = {name: bootstrap(values, seed) for name, values in self.scores.items()}
        exact = self.scores["exact_match"]
        losses, tokens = [one.total for one in self.surprises], [one.tokens for one in self.surprises]
        return {**found, "exact_match": wilson(sum(exact), len(exact)), LOSS: bootstrap(losses, seed, tokens)}

    def row(self, index: int) -> dict[str, float]:
        """The scores of one question, and its loss per token."""
        found = {name: round(values[index], 6) for name, values in self.scores.items()}
        return {**found, LOSS: round(self.surprises[index].mean, 6)}


def sit(model: LoadedModel, questions: Sequence[Question], spec: EvaluationSpec, advance: Advance) -> Sheet:
    """Answer every question and compare with the references."""
    most_tokens = min(spec.max_new_tokens, max(model.positions // 2, 1))
    cutoff = min(spec.cutoff_len, model.positions - most_tokens)
    room = min(spec.cutoff_len, model.positions)
    prompts = [model.prompter.render(question, cutoff, room) for question in questions]
    generated = model.answer(
        [prompt.question for prompt in prompts], batch_size=spec.batch_size, most_tokens=most_tokens,
        done=lambda count: advance(f"{model.name} answers", count),
    )  # fmt: skip
    answers = [
        model.prompter.spoken(text, question.reference) for text, question in zip(generated, questions, strict=True)
    ]
    surprises = held_out_loss(
        model, prompts, batch_size=spec.batch_size,
        done=lambda count: advance(f"{model.name} reads the references", count),
    )  # fmt: skip
    scores = {
        name: [score(answer, question.reference) for answer, question in zip(answers, questions, strict=True)]
        for name, score in SCORERS.items()
    }
    return Sheet(model.name, answers, scores, surprises, [prompt.is_cut for prompt in prompts])
