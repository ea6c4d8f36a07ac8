"""What can be known about a job's attempt at one moment."""

from dataclasses import dataclass

from shared.contracts.work import AttemptView


@dataclass(frozen=True, slots=True)
class SlotFree:
    """A worker has room for this job, and it is its turn."""

    worker: str


@dataclass(frozen=True, slots=True)
class Seen:
    """The worker answered about the attempt."""

    view: AttemptView
    just_asked: bool = False
    """This is its answer to our request to end it."""


@dataclass(frozen=True, slots=True)
class Missing:
    """The worker answered that it does not have the attempt."""

    just_asked: bool = False
    """This is its answer to our request to end it: it never takes the attempt on any more."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The worker answered that it will not take the attempt."""

    code: str
    message: str
    is_passing: bool
    """It may take it later."""


@dataclass(frozen=True, slots=True)
class Silent:
    """No answer: nothing is known, and nothing may be concluded."""

    why: str


@dataclass(frozen=True, slots=True)
class Gone:
    """An operator said that the attempt's worker is gone for good."""

    why: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """The attempt's log takes nothing more past its end; `is_drained` when all up to there has arrived."""

    is_drained: bool
    accepted_through: int = 0


@dataclass(frozen=True, slots=True)
class Prerequisites:
    """How the jobs stand that this one depends on."""

    waits_for: list[str]
    """Those that are not over."""
    failed: str | None = None
    """One that is over and did not succeed."""


Observation = SlotFree | Seen | Missing | Refused | Silent | Gone | Sealed | Prerequisites | None
"""None: nobody was asked."""
