"""Every choice of a simulation, from one seed."""

import random
from dataclasses import dataclass


@dataclass(slots=True)
class Faults:
    """How likely each fault is, per call; all are off in the calm at the end."""

    request_lost: float = 0.0
    answer_lost: float = 0.0
    """The call was carried out, its caller hears nothing."""
    commit_refused: float = 0.0
    commit_unheard: float = 0.0
    """The transaction stands, its caller is told that the database is away."""
    commit_repeated: float = 0.0
    """The transaction stands, and is run again whole."""


class Chance:
    """Seeded choices; `is_calm` switches every fault off."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        heat = self.rng.choice((0.0, 0.05, 0.1, 0.2))
        self.faults = Faults(*(heat * self.rng.random() for _ in range(5)))
        self.is_calm = False

    def strikes(self, likelihood: float) -> bool:
        """Whether a fault of this likelihood happens now."""
        return not self.is_calm and likelihood > 0 and self.rng.random() < likelihood

    def pause_s(self) -> float:
        """How long a call takes: mostly moments, now and then seconds."""
        if not self.is_calm and self.rng.random() < 0.02:
            return self.rng.uniform(0.5, 20.0)
        return self.rng.uniform(0.0, 0.02)
