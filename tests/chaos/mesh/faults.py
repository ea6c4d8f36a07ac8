"""Faults as the seed draws them: what is done, to whom, and for how long."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tests.mesh import PORTS

KILL, FREEZE, CUT = "kill", "freeze", "cut"
SERVICES = tuple(sorted(PORTS))
ATTEMPTS = ("engine", "shepherd")
_VICTIMS = {
    KILL: (*SERVICES, *ATTEMPTS, *ATTEMPTS, "spare", "up", "database"),
    FREEZE: (*SERVICES, *ATTEMPTS, "up", "database"),
    CUT: (*SERVICES, "database"),
}
_LENGTH_S = (0.1, 5.0)
_PAUSE_S = (0.0, 0.7)
_VOLLEY = 3
"""So many faults at most come before what they broke is whole again."""


@dataclass(frozen=True)
class Fault:
    """`length_s` passes until it is over: thawed, mended, or started again by whoever starts it."""

    number: int
    verb: str
    victim: str
    pause_s: float
    length_s: float
    place: float
    """Which of several that the name fits, from 0 to 1."""

    def __str__(self) -> str:
        return f"{self.number}: {self.verb} {self.victim} for {self.length_s:.1f} s"


def volleys(seeded: random.Random) -> Iterator[list[Fault]]:
    """Faults without end, a few at a time."""
    number = 0
    while True:
        volley = []
        for _ in range(seeded.randint(1, _VOLLEY)):
            number += 1
            verb = seeded.choice((KILL, FREEZE, CUT))
            victim = seeded.choice(_VICTIMS[verb])
            pause_s, length_s = seeded.uniform(*_PAUSE_S), seeded.uniform(*_LENGTH_S)
            volley.append(Fault(number, verb, victim, pause_s, length_s, seeded.random()))
        yield volley
