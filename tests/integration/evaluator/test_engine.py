"""The evaluator's engine works behind the real bootstrap."""

from pathlib import Path

from shared.contracts.failures import FailureClass
from shared.contracts.work import JobKind
from shared.kit.artifacts import ArtifactStore
from tests.attempts import attempt_spec, put_model, put_rows
from tests.engines import run_engine
from tests.integration.evaluator.conftest import ROWS, Models


def test_an_unknown_template_fails_the_job_as_the_users_fault(tmp_path: Path, models: Models) -> None:
    store = ArtifactStore(str(tmp_path / "artifacts"), tmp_path / "cache")
    job = attempt_spec(
        JobKind.EVALUATION, {"dataset": "rows", "modelName": "odd"}, {"test": put_rows(store, "rows", ROWS[:2])},
        {"model": put_model(store, "odd", models.base, template="no_such_template")},
    )  # fmt: skip
    failure = run_engine("services.evaluator.engine", tmp_path, job, str(tmp_path / "artifacts")).failure
    assert failure is not None
    assert (failure.failure_class, failure.reason) == (FailureClass.USER, "unknown_template")


def test_an_engine_process_leaves_report_and_answers(tmp_path: Path, models: Models) -> None:
    store = ArtifactStore(str(tmp_path / "artifacts"), tmp_path / "cache")
    job = attempt_spec(
        JobKind.EVALUATION, {"dataset": "rows", "modelName": "tuned"}, {"test": put_rows(store, "rows", ROWS[:5])},
        {"model": put_model(store, "tuned", models.base, models.adapter)},
    )  # fmt: skip
    done = run_engine("services.evaluator.engine", tmp_path, job, str(tmp_path / "artifacts"))
    assert done.failure is None
    assert done.result["rows"] == 5
    assert [artifact.name for artifact in done.artifacts] == ["report.json", "answers.jsonl"]


def test_a_model_that_finds_no_memory_is_not_called_damaged(tmp_path: Path, models: Models) -> None:
    from tests.integration.evaluator.tiny import widened

    store = ArtifactStore(str(tmp_path / "artifacts"), tmp_path / "cache")
    job = attempt_spec(
        JobKind.EVALUATION, {"dataset": "rows", "modelName": "wide"}, {"test": put_rows(store, "rows", ROWS[:2])},
        {"model": put_model(store, "wide", widened(models.base, tmp_path / "wide", vocabulary=400_000))},
    )  # fmt: skip
    done = run_engine("services.evaluator.engine", tmp_path, job, str(tmp_path / "artifacts"), spare_bytes=80 * 2**20)
    assert done.failure is not None
    assert (done.failure.failure_class, done.failure.reason) == ("infrastructure", "out_of_memory_host"), done.failure
