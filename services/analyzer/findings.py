"""What is wrong with a data set, said with row numbers and a way to mend it."""

from dataclasses import dataclass
from enum import StrEnum

from pydantic import JsonValue

from services.analyzer.overlap import Match
from shared.contracts.base import JsonObject


class Severity(StrEnum):
    """How much a finding harms."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of fault: the rows that have it, and rows that belong together."""

    kind: str
    severity: Severity
    rows: list[int]
    message: str
    suggestion: str
    details: list[JsonObject]
    """One entry a group or match; only in the report."""

    def as_json(self, most_rows: int, *, with_details: bool) -> JsonObject:
        """The finding with at most `most_rows` row numbers and details; `count` is never cut."""
        shown: list[JsonValue] = list(self.rows[:most_rows])
        found: JsonObject = {
            "kind": self.kind,
            "severity": self.severity.value,
            "count": len(self.rows),
            "rows": shown,
            "message": self.message,
            "suggestion": self.suggestion,
        }
        return {**found, "details": list(self.details[:most_rows])} if with_details and self.details else found


def empty_rows(rows: list[int]) -> Finding:
    """Rows that ask or answer nothing."""
    return Finding(
        "empty_rows", Severity.ERROR, rows, f"{len(rows)} rows have an empty question or an empty answer",
        "remove them, or fill in what is missing", [],
    )  # fmt: skip


def over_long_rows(rows: list[int], cutoff: int, unit: str) -> Finding:
    """Rows that training would cut; only to be looked at when characters stand for tokens."""
    if unit == "characters":
        return Finding(
            "over_long_rows", Severity.INFO, rows,
            f"{len(rows)} rows have more than {cutoff} characters; in tokens they may or may not fit",
            "name the model this data set is for, so that its tokens are counted", [],
        )  # fmt: skip
    return Finding(
        "over_long_rows", Severity.WARNING, rows, f"{len(rows)} rows have more than {cutoff} {unit} and would be cut",
        "raise cutoffLen, or shorten or split the rows", [],
    )  # fmt: skip


def duplicate_rows(kind: str, groups: list[list[int]], likeness: str) -> Finding:
    """Rows that repeat an earlier one; `details` name the groups, the original first."""
    copies = sorted(row for group in groups for row in group[1:])
    details: list[JsonObject] = [{"rows": list(group)} for group in groups]
    return Finding(
        kind, Severity.WARNING, copies, f"{len(copies)} rows repeat an earlier row {likeness}",
        "keep the first row of each group: repeats are learned by heart", details,
    )  # fmt: skip


def overlapping_rows(kind: str, matches: list[Match], likeness: str) -> Finding:
    """Training rows that give a test question away; `details` pair them."""
    rows = sorted({match.row for match in matches})
    details: list[JsonObject] = [
        {"row": match.row, "testRow": match.test_row, "similarity": round(match.similarity, 4)} for match in matches
    ]
    tested = len({match.test_row for match in matches})
    return Finding(
        kind, Severity.ERROR, rows,
        f"the questions of {tested} test rows stand {likeness} in {len(rows)} training rows",
        "remove these rows from one of the two: a test score on them says nothing", details,
    )  # fmt: skip
