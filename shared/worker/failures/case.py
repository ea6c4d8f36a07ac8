"""All that is known of a failed attempt, as plain facts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.contracts.failures import Reason

_SHELL_SIGNALS = range(129, 160)
"""A shell ends with 128 and the number of the signal that ended its command."""


@dataclass(frozen=True, slots=True)
class Remains:
    """What is known of the processes after the last of them is gone."""

    code: int | None = None
    signal: int | None = None
    peak_memory_bytes: int | None = None
    memory_limit_bytes: int | None = None
    """Of the cgroup, or of the machine where it sets none."""
    oom_kills: int = 0
    """How often the kernel's out-of-memory killer struck in the attempt's cgroup meanwhile."""
    is_lost: bool = False
    """Nobody saw the engine end: its shepherd died first."""
    start_fault: str | None = None
    """The attempt was never started, and why."""

    @property
    def fatal_signal(self) -> int | None:
        """The signal that ended the engine, seen directly or through a shell."""
        if self.signal is None and self.code is not None and self.code in _SHELL_SIGNALS:
            return self.code - 128
        return self.signal


@dataclass(frozen=True, slots=True)
class Fault:
    """One exception: `kinds` are its class's name and its bases', nearest first."""

    kinds: tuple[str, ...]
    message: str
    errno: int | None = None
    code: str | None = None
    """Of our own errors."""

    @property
    def text(self) -> str:
        """As Python prints it."""
        return f"{self.kinds[0]}: {self.message}" if self.message else self.kinds[0]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the engine's output and the byte it begins at."""

    offset: int
    text: str


@dataclass(frozen=True, slots=True)
class Case:
    """The facts that a diagnosis is made from; every one of them may be missing."""

    faults: tuple[Fault, ...] = ()
    """The exception that ended the engine, then what caused it."""
    named: Reason | None = None
    """What the engine itself called it."""
    message: str = ""
    """The engine's own words."""
    was_stopped: bool = False
    remains: Remains = Remains()
    log: tuple[Line, ...] = ()
    """The last lines of the output, oldest first."""
    events: tuple[Mapping[str, Any], ...] = ()
    """The last events, oldest first."""
    spec: Mapping[str, Any] = field(default_factory=dict)
    ended_at: str = ""
    folder: str = ""
    """The job's: paths inside it are named from there, all others by their last part."""
