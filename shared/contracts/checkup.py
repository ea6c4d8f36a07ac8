"""What `imts doctor` finds."""

from enum import StrEnum

from shared.contracts.base import WireModel


class Health(StrEnum):
    """How a thing is."""

    OK = "ok"
    WARN = "warn"
    """It works, or will; somebody should know."""
    FAIL = "fail"
    """It does not work until somebody does what `action` says."""


class Finding(WireModel):
    """One thing that was looked at; `action` says what to do, and is empty when nothing is to be done."""

    name: str
    health: Health
    says: str
    action: str = ""


class Findings(WireModel):
    """Everything that one look found."""

    data: list[Finding]


def fine(name: str, says: str) -> Finding:
    """Nothing to do."""
    return Finding(name=name, health=Health.OK, says=says)


def doubtful(name: str, says: str, action: str) -> Finding:
    """Somebody should know."""
    return Finding(name=name, health=Health.WARN, says=says, action=action)


def broken(name: str, says: str, action: str) -> Finding:
    """Somebody must do something."""
    return Finding(name=name, health=Health.FAIL, says=says, action=action)


def by_limits(name: str, value: float, warn: float, fail: float, says: str, action: str) -> Finding:
    """Judge a figure of which little is good: fine up to `warn`, broken beyond `fail`."""
    if value <= warn:
        return fine(name, says)
    return broken(name, says, action) if value > fail else doubtful(name, says, action)
