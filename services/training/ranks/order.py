"""What every process of a training is told, and what it says at its end."""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from services.training.arguments import EngineArguments
from services.training.weights import Weights


class End(StrEnum):
    """How the loop of a process ended, if not by a fault."""

    DONE = "done"
    HALTED = "halted"
    RESTART = "restart"
    STRUCK = "struck"
    MEMORY_SHORT = "memory_short"


@dataclass(frozen=True, slots=True)
class Order:
    """Written by the engine before it starts them."""

    attempt: str
    """The attempt's folder."""
    work: str
    arguments: EngineArguments
    weights: Weights
    processes: int
    has_gpu: bool
    meeting: str
    """The file by which they find each other: no port is opened for it."""
    words: str
    """The folder for what each says at its end."""

    def save(self, path: Path) -> None:
        """Write it for the processes."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Self:
        """As it was saved."""
        told: dict[str, Any] = json.loads(path.read_bytes())
        return cls(**{**told, "weights": Weights(**told["weights"])})

    def word(self, rank: int) -> Path:
        """What this process says at its end."""
        return Path(self.words) / f"{rank}.json"

    @property
    def begun(self) -> Path:
        """Holds the first process's id once it can make a checkpoint when it is told to end."""
        return Path(self.words) / "begun"
