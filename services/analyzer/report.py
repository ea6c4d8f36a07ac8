"""Puts what was found together: a summary for the job, a report for the artifact store."""

from dataclasses import dataclass

from pydantic import JsonValue

from services.analyzer.findings import Finding
from services.analyzer.health import Part, health_score
from shared.contracts.base import JsonObject
from shared.contracts.work import DatasetInput


@dataclass(frozen=True, slots=True)
class Report:
    """All that an analysis says."""

    dataset: DatasetInput
    test_dataset: DatasetInput | None
    profile: JsonObject
    lengths: JsonObject
    languages: dict[str, int]
    findings: list[Finding]
    parts: list[Part]
    most_rows: int

    def _head(self, *, with_details: bool) -> JsonObject:
        worst_first = sorted(self.findings, key=lambda finding: finding.severity.value != "error")
        findings: list[JsonValue] = [
            finding.as_json(self.most_rows, with_details=with_details) for finding in worst_first
        ]
        parts: JsonObject = {part.name: part.as_json() for part in self.parts}
        return {
            "healthScore": health_score(self.parts),
            "parts": parts,
            "rows": self.profile["rows"],
            "format": self.dataset.format,
            "lengths": self.lengths,
            "languages": dict(self.languages),
            "findings": findings,
        }

    def summary(self) -> JsonObject:
        """The job's result."""
        return self._head(with_details=False)

    def full(self) -> JsonObject:
        """`report.json`: the summary, with the profile and with the groups and matches behind each finding."""
        tested = None if self.test_dataset is None else self.test_dataset.model_dump(mode="json")
        return {
            **self._head(with_details=True),
            "dataset": self.dataset.model_dump(mode="json"),
            "testDataset": tested,
            "profile": self.profile,
            "rowNumbers": "lines of the normalised data set, counted from 1",
        }
