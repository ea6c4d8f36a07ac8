"""How long the faults go on, and the seed that makes the same ones again."""

import os
import random
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Chaos:
    """The short form of a proof, or `minutes` of it; `random` draws every fault."""

    seed: int
    minutes: float

    @property
    def is_short(self) -> bool:
        """Whether this is the form that `make test` runs."""
        return self.minutes == 0

    @property
    def random(self) -> random.Random:
        """A generator that begins at the seed."""
        return random.Random(self.seed)

    def seconds(self, short: float) -> float:
        """How long to go on."""
        return short if self.is_short else self.minutes * 60

    def count(self, short: int, a_minute: float) -> int:
        """How often to do something."""
        return short if self.is_short else max(short, round(a_minute * self.minutes))

    def size(self, short: int, full: int) -> int:
        """How many there are of something that does not grow with time."""
        return short if self.is_short else full


@pytest.fixture
def chaos(request: pytest.FixtureRequest) -> Chaos:
    """Length and seed from the environment; a failure shows how to make the same faults again."""
    seed = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(2**32))
    found = Chaos(seed, float(os.environ.get("CHAOS_MINUTES") or 0))
    again = f"make chaos SEED={seed} MINUTES={found.minutes:g} PYTEST='-k {request.node.originalname}'"
    print("the same faults again:", again)
    return found
