"""A whole evaluation in this process: a base that knows nothing beside an adapter that knows the answers."""

import json
from pathlib import Path
from typing import Any

import pytest

from shared.contracts.base import JsonObject
from shared.contracts.work import JobKind
from shared.kit.artifacts import ArtifactStore
from shared.worker.attempt import Attempt, Result, UserFault
from tests.attempts import attempt_spec, chat, events_of, open_attempt, put_model, put_rows
from tests.integration.evaluator.conftest import ROWS, Models


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(str(tmp_path / "artifacts"), tmp_path / "cache")


def _attempt(folder: Path, store: ArtifactStore, models: Models, rows: list[JsonObject], **spec: Any) -> Attempt:
    inputs = {
        "model": put_model(store, "tuned", models.base, models.adapter),
        "baseline": put_model(store, "base", models.base),
    }
    asked = {"dataset": "rows", "modelName": "tuned", "baselineModel": "base", "maxNewTokens": 8, **spec}
    job = attempt_spec(JobKind.EVALUATION, asked, {"test": put_rows(store, "rows", rows)}, inputs)
    return open_attempt(folder, job, store)


def _run(attempt: Attempt) -> Result:
    from services.evaluator.engine import run

    return run(attempt)


def test_a_taught_model_beats_its_base(tmp_path: Path, store: ArtifactStore, models: Models) -> None:
    result: Any = _run(_attempt(tmp_path, store, models, ROWS)).result
    assert result["rows"] == 8
    assert result["baseline"]["exact_match"] == 0.0
    assert result["model"]["exact_match"] >= 0.9
    assert result["model"]["loss"] < 0.2 < 3.0 < result["baseline"]["loss"]
    assert result["gain"]["exact_match"] == result["model"]["exact_match"]
    assert result["gain"]["loss"] > 3.0
    assert result["comparison"]["loss"] == {"win": 8, "tie": 0, "loss": 0}
    low, high = result["intervals"]["model"]["exact_match"]
    assert low < result["model"]["exact_match"] <= high


def test_the_table_has_every_question_with_both_answers(tmp_path: Path, store: ArtifactStore, models: Models) -> None:
    rows = [*ROWS[:3], chat("nothing", ""), chat("Which colour is snow?", "a very long story")]
    done = _run(_attempt(tmp_path, store, models, rows))
    artifacts = {artifact.name: store.read_bytes(artifact.sha256).decode() for artifact in done.artifacts}
    lines = [json.loads(line) for line in artifacts["answers.jsonl"].splitlines()]
    report = json.loads(artifacts["report.json"])
    assert [line["row"] for line in lines] == [1, 2, 3, 5]
    assert lines[0]["model"]["answer"] == lines[0]["reference"] == "green"
    assert lines[0]["baseline"]["exact_match"] == 0.0
    assert report["skippedRows"] == 1
    assert [case["row"] for case in report["badCases"]] == [5]


def test_the_same_seed_gives_the_same_result(tmp_path: Path, store: ArtifactStore, models: Models) -> None:
    first = _run(_attempt(tmp_path / "first", store, models, ROWS[:4]))
    again = _run(_attempt(tmp_path / "again", store, models, ROWS[:4]))
    assert first == again


def test_batches_change_no_answer_and_no_loss(tmp_path: Path, store: ArtifactStore, models: Models) -> None:
    """Left padding must be invisible to the model."""
    rows = [*ROWS[:5], chat("Once upon a time, in a land far away, what was 1 + 1?", "2")]
    alone: Any = _run(_attempt(tmp_path / "one", store, models, rows, batchSize=1))
    together: Any = _run(_attempt(tmp_path / "many", store, models, rows, batchSize=6))
    assert together.result["model"] == pytest.approx(alone.result["model"], abs=1e-4)
    assert together.result["baseline"] == pytest.approx(alone.result["baseline"], abs=1e-4)


def test_a_single_model_needs_no_baseline(tmp_path: Path, store: ArtifactStore, models: Models) -> None:
    job = attempt_spec(
        JobKind.EVALUATION, {"dataset": "rows", "modelName": "base", "maxRows": 4},
        {"test": put_rows(store, "rows", ROWS)}, {"model": put_model(store, "base", models.base)},
    )  # fmt: skip
    attempt = open_attempt(tmp_path, job, store)
    result = _run(attempt).result
    assert (result["rows"], result["baseline"], result["gain"]) == (4, None, None)
    said = [event["data"] for event in events_of(attempt)]
    assert said[-1] == {"done": 8, "total": 8, "what": "base@1 reads the references"}


def test_an_overlong_question_keeps_its_end_and_is_marked(tmp_path: Path, store: ArtifactStore, models: Models) -> None:
    rows = [chat("blah " * 400 + "What is 1 + 1?", "2"), ROWS[0]]
    result = _run(_attempt(tmp_path, store, models, rows, cutoffLen=64)).result
    assert result["cutRows"] == 1


def test_rows_without_questions_are_the_users_fault(tmp_path: Path, store: ArtifactStore, models: Models) -> None:
    with pytest.raises(UserFault) as caught:
        _run(_attempt(tmp_path, store, models, [{"text": "plain"}]))
    assert caught.value.reason == "no_questions"


def test_a_damaged_model_is_the_users_fault(tmp_path: Path, store: ArtifactStore, models: Models) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(UserFault) as caught:
        _run(_attempt(tmp_path, store, Models(broken, models.adapter), ROWS[:1]))
    assert caught.value.reason == "tokenizer_missing"
