"""A job's output line by line: each with its level and its place."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from shared.contracts.base import Contract, Int, Text, WireModel

LONGEST_SEARCH = 200


class LogLevel(StrEnum):
    """How much a line matters, least first."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    def covers(self, other: "LogLevel") -> bool:
        """Whether a line of level `other` matters as much."""
        order = list(LogLevel)
        return order.index(other) >= order.index(self)


class LineQuery(WireModel):
    """Which lines are wanted."""

    offset: Annotated[Int, Field(ge=0, le=2**53 - 1)] = 0
    limit: Annotated[Int, Field(ge=1, le=1000)] = 200
    level: LogLevel = LogLevel.DEBUG
    search: Annotated[Text, Field(max_length=LONGEST_SEARCH)] = ""


class LogLine(Contract):
    """One line of an attempt's output."""

    offset: Int
    """The byte it begins at; `logs?offset=` reads on from there."""
    level: LogLevel
    """As the line says it; `info` where it says nothing. Lines of a traceback are errors."""
    text: str
    """Without its end; cut after 4,096 characters."""


class LogLines(Contract):
    """Lines of an attempt's output that were asked for, oldest first."""

    attempt: Int
    data: list[LogLine]
    next_offset: Int
    """Where to go on, also when nothing was found: one call looks through 4 MiB at most."""
    is_complete: bool
    """The attempt has ended and nothing follows."""
