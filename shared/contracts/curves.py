"""Curves of a job's figures, cut down to what a screen can show."""

from shared.contracts.base import Int, WireModel

MAX_KEYS = 32
MAX_BUCKETS = 5_000


class Curve(WireModel):
    """One figure: lists of equal length, a place a bucket of steps, ascending; buckets without a value are left out."""

    points: list[Int]
    first_step: list[Int]
    first: list[float]
    low_step: list[Int]
    low: list[float]
    high_step: list[Int]
    high: list[float]
    last_step: list[Int]
    last: list[float]


class Curves(WireModel):
    """Figures by their dotted names; one that no event has is absent."""

    job_id: str
    width: Int
    """Steps a bucket spans."""
    through: Int
    """The seq up to which the log was read; later events may be in as well."""
    data: dict[str, Curve]
