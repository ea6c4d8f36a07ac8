"""The analyzer's engine works behind the real bootstrap."""

from pathlib import Path

from shared.contracts.failures import FailureClass
from shared.contracts.work import JobKind, Outcome
from shared.kit.artifacts import ArtifactStore
from tests.attempts import attempt_spec, chat, put_rows
from tests.engines import run_engine


def test_an_engine_process_leaves_a_report(tmp_path: Path) -> None:
    store = ArtifactStore(str(tmp_path / "artifacts"), tmp_path / "cache")
    rows = put_rows(store, "rows", [chat("one", "1"), chat("one", "1")])
    spec = attempt_spec(JobKind.ANALYSIS, {"dataset": "rows"}, {"train": rows})
    result = run_engine("services.analyzer.engine", tmp_path, spec, str(tmp_path / "artifacts"))
    assert result.outcome is Outcome.SUCCEEDED
    assert result.result["healthScore"] == 50.0
    assert store.has(result.artifacts[0].sha256)


def test_a_lost_data_set_is_the_platforms_fault(tmp_path: Path) -> None:
    store = ArtifactStore(str(tmp_path / "artifacts"), tmp_path / "cache")
    lost = put_rows(store, "rows", [chat("one", "1")]).model_copy(update={"sha256": "0" * 64})
    spec = attempt_spec(JobKind.ANALYSIS, {"dataset": "rows"}, {"train": lost})
    failure = run_engine("services.analyzer.engine", tmp_path, spec, str(tmp_path / "artifacts")).failure
    assert failure is not None
    assert (failure.failure_class, failure.reason) == (FailureClass.PLATFORM, "artifact_not_found")
