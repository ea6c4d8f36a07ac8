"""How a run departs from its spec by now: what commands changed, kept for the attempts that follow."""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Self

from services.training.arguments import EngineArguments
from shared.kit.files import write_atomic

NAME = "course.json"
"""In the folder that a job's attempts share."""


class Restart(Exception):
    """The trainer's loop has ended, with a checkpoint, to be started again as the course now says."""


@dataclass(slots=True)
class Course:
    """Written whole at each change, by the engine alone."""

    path: Path
    commands_done: int = 0
    """Of the job's commands, in their order."""
    learning_rates: list[tuple[int, float]] = field(default_factory=list)
    """After which step the run goes on as if the spec's `learningRate` were another; a run that comes by again obeys
    at the same step."""
    max_steps: int | None = None
    batch_size: int | None = None
    gradient_accumulation_steps: int | None = None
    """These two together, as memory ran short; their product stays the spec's."""
    rollbacks: int = 0
    skipped: list[int] = field(default_factory=list)
    """Steps whose batches are not learnt from."""
    plateau_at: int = 0
    """When the learning rate was lowered last because the validation loss fell no more."""
    best: tuple[int, float] | None = None
    """Step and validation loss of the checkpoint that is kept as the best."""

    @classmethod
    def of(cls, work: Path) -> Self:
        """As an earlier attempt left it, or the spec's own."""
        path = work / NAME
        if not path.exists():
            return cls(path)
        found = json.loads(path.read_bytes())
        rates = [(int(step), float(rate)) for step, rate in found.pop("learning_rates")]
        best = found.pop("best", None)
        return cls(path, learning_rates=rates, best=None if best is None else (best[0], best[1]), **found)

    def refresh(self) -> None:
        """Take over what another process has changed."""
        newest = self.of(self.path.parent)
        for each in fields(self):
            setattr(self, each.name, getattr(newest, each.name))

    def save(self) -> None:
        """Make it last."""
        kept = asdict(self)
        del kept["path"]
        write_atomic(self.path, json.dumps(kept))

    def adapted(self, arguments: EngineArguments) -> EngineArguments:
        """The engine's arguments as they are by now."""
        if self.max_steps is not None:
            arguments["max_steps"] = self.max_steps
        if self.batch_size is not None and self.gradient_accumulation_steps is not None:
            arguments["per_device_train_batch_size"] = self.batch_size
            arguments["gradient_accumulation_steps"] = self.gradient_accumulation_steps
            if "per_device_eval_batch_size" in arguments:
                arguments["per_device_eval_batch_size"] = self.batch_size
        return arguments

    def shrink(self, batch_size: int, accumulation: int) -> tuple[int, int]:
        """Half as many rows at a time or fewer, and as many more times; of what the spec says, or of less by now."""
        rows, times = self.batch_size or batch_size, self.gradient_accumulation_steps or accumulation
        fewer = next(count for count in range(rows // 2, 0, -1) if rows % count == 0)
        self.batch_size, self.gradient_accumulation_steps = fewer, times * (rows // fewer)
        return self.batch_size, self.gradient_accumulation_steps

    def forget_from(self, step: int) -> None:
        """Of what was reached, this step and later ones are to be done again."""
        self.plateau_at = min(self.plateau_at, step - 1)
        if self.best is not None and self.best[0] >= step:
            self.best = None

    def learning_rate_at(self, step: int) -> float | None:
        """What the spec's `learningRate` counts as once this step is done; None for itself."""
        return next((rate for begin, rate in reversed(self.learning_rates) if begin <= step), None)

    def set_learning_rate(self, step: int, rate: float) -> None:
        """From this step on; what was meant for later steps no longer holds."""
        self.learning_rates = [(begin, known) for begin, known in self.learning_rates if begin < step]
        self.learning_rates.append((step, rate))
