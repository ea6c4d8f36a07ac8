"""Runs one analysis, inside its own process."""

import json

from services.analyzer import health
from services.analyzer.findings import Finding, duplicate_rows, empty_rows, over_long_rows, overlapping_rows
from services.analyzer.health import Part
from services.analyzer.lengths import CharacterRuler, Ruler, TokenRuler
from services.analyzer.overlap import Questions, exact_overlap, near_overlap
from services.analyzer.report import Report
from services.analyzer.rows import RowFile
from services.analyzer.survey import Survey, read_questions, survey
from shared.contracts.analysis import AnalysisSpec
from shared.contracts.failures import Reason
from shared.contracts.work import Artifact, ModelInput
from shared.kit.artifacts import ArtifactStore
from shared.worker.attempt import Attempt, Result, UserFault
from shared.worker.meter import Meter

_PARTS = (health.COMPLETENESS, health.UNIQUENESS, health.VARIETY, health.LENGTH)
"""Of the findings about rows by themselves, in their order."""


def run(attempt: Attempt) -> Result:
    """Analyse the data set and leave `report.json`."""
    spec = AnalysisSpec.model_validate(attempt.spec.spec)
    train = attempt.spec.datasets["train"]
    test = attempt.spec.datasets.get("test")
    meter = Meter(attempt, train.rows + (0 if test is None else test.rows))
    rows = RowFile(attempt.store.local_path(train.sha256))
    asked = None if test is None else Questions(rows)
    found = survey(rows, _ruler(attempt.store, attempt.spec.models.get("tokenizer")), meter, asked)
    findings, parts = _judge(found, spec)
    if asked is not None and test is not None:
        tested = read_questions(RowFile(attempt.store.local_path(test.sha256)), meter)
        overlaps, separation = _compare(asked, tested, spec.near_duplicate_threshold)
        findings += overlaps
        parts.append(separation)
    report = Report(
        dataset=train, test_dataset=test, profile=found.profile.summary(), lengths=found.lengths.summary(),
        languages=found.languages.counts(), findings=[finding for finding in findings if finding.rows], parts=parts,
        most_rows=spec.max_rows_per_finding,
    )  # fmt: skip
    return Result(result=report.summary(), artifacts=[_store(attempt.store, report)])


def _ruler(store: ArtifactStore, model: ModelInput | None) -> Ruler:
    """The tokenizer of the job's model; characters when no model was named."""
    if model is None:
        return CharacterRuler()
    found = next((item for item in store.tree(model.base) if item.path == "tokenizer.json"), None)
    if found is None:
        raise UserFault(
            Reason.TOKENIZER_MISSING,
            f"modelName: {model.name} has no tokenizer.json; name another model, or none to count characters",
        )
    return TokenRuler(store.local_path(found.sha256))


def _judge(found: Survey, spec: AnalysisSpec) -> tuple[list[Finding], list[Part]]:
    """What is wrong with the rows by themselves."""
    total = found.profile.rows
    findings = [
        empty_rows(found.profile.empty),
        duplicate_rows("duplicate_rows", found.duplicates.groups(), "word for word"),
        duplicate_rows(
            "near_duplicate_rows", found.near_groups(spec.near_duplicate_threshold),
            f"almost word for word (similarity from {spec.near_duplicate_threshold})",
        ),
        over_long_rows(found.lengths.longer_than(spec.cutoff_len), spec.cutoff_len, found.lengths.unit),
    ]  # fmt: skip
    parts = [Part(name, len(finding.rows), total) for name, finding in zip(_PARTS, findings, strict=True)]
    # Characters only bound tokens from above: without a tokenizer no row is known to be too long.
    return findings, parts if found.lengths.unit == TokenRuler.unit else parts[:-1]


def _compare(train: Questions, test: Questions, threshold: float) -> tuple[list[Finding], Part]:
    """What the training rows give away of the test."""
    exact = exact_overlap(train, test)
    near = near_overlap(train, test, threshold)
    findings = [
        overlapping_rows("test_overlap", exact, "word for word"),
        overlapping_rows("near_test_overlap", near, f"almost word for word (similarity from {threshold})"),
    ]
    seen = {match.test_row for match in exact + near}
    return findings, Part(health.SEPARATION, len(seen), len(test.all))


def _store(store: ArtifactStore, report: Report) -> Artifact:
    blob = store.put_bytes(json.dumps(report.full(), ensure_ascii=False, indent=1, allow_nan=False).encode())
    return Artifact(name="report.json", sha256=blob.sha256, size=blob.size, media_type="application/json")
