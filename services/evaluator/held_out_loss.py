"""How surprised a model is by the reference answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.evaluator.inference import LoadedModel
from services.evaluator.prompts import Prompt


@dataclass(frozen=True, slots=True)
class Surprise:
    """Cross-entropy of one reference, in nats, and the tokens it has, its ending included."""

    total: float
    tokens: int

    @property
    def mean(self) -> float:
        """Per token."""
        return self.total / self.tokens


def held_out_loss(
    model: LoadedModel, prompts: Sequence[Prompt], *, batch_size: int, done: Callable[[int], None]
) -> list[Surprise]:
    """The loss training would show on these rows: over the tokens of the answer only."""
    pairs = [(prompt.question, prompt.answer) for prompt in prompts]
    sums = model.token_losses(pairs, batch_size=batch_size, done=done)
    return [Surprise(total, len(prompt.answer)) for total, prompt in zip(sums, prompts, strict=True)]
