"""What an engine writes through its attempt."""

import json
import math
import resource
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from shared.contracts.events import MAX_EVENT_BYTES
from shared.contracts.work import AttemptSpec, Control, JobKind, Outcome
from shared.kit.artifacts import ArtifactStore
from shared.kit.ids import new_id
from shared.worker.attempt import Attempt, Result
from shared.worker.folder import AttemptFolder


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    job_id = new_id("job")
    folder = tmp_path / job_id / "2"
    folder.mkdir(parents=True)
    spec = AttemptSpec(attempt_id=f"{job_id}.2", job_id=job_id, number=2, kind=JobKind.TRAINING, spec={})
    return Attempt(spec, folder, tmp_path, ArtifactStore(str(tmp_path / "store"), tmp_path / "cache"))


def _lines(attempt: Attempt) -> list[dict[str, Any]]:
    return [json.loads(line) for line in AttemptFolder(attempt.folder).events.read_text().splitlines()]


def test_events_are_numbered_by_their_lines(attempt: Attempt) -> None:
    assert [attempt.emit("log", {"text": "你好\n"}), attempt.emit("checkpoint_saved", {})] == [1, 2]
    assert [(line["seq"], line["event_type"]) for line in _lines(attempt)] == [(1, "log"), (2, "checkpoint_saved")]
    assert _lines(attempt)[0]["data"] == {"text": "你好\n"}


def test_what_is_not_a_number_becomes_null_and_is_named(attempt: Attempt) -> None:
    attempt.emit("metrics_update", {"train_loss": math.nan, "advanced_metrics": {"norm": math.inf}, "seen": [1.0]})
    assert _lines(attempt)[0]["data"] == {
        "train_loss": None,
        "advanced_metrics": {"norm": None},
        "seen": [1.0],
        "non_finite": ["advanced_metrics.norm", "train_loss"],
    }


def test_an_event_too_large_for_the_log_is_only_mentioned(attempt: Attempt) -> None:
    attempt.emit("log", {"text": "x" * MAX_EVENT_BYTES})
    assert _lines(attempt)[0]["data"] == {"oversized_bytes": MAX_EVENT_BYTES + 11}


def test_threads_share_one_numbering(attempt: Attempt) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda number: attempt.emit("log", {"number": number}), range(200)))
    assert [line["seq"] for line in _lines(attempt)] == list(range(1, 201))


def test_emitting_costs_a_training_step_next_to_nothing(attempt: Attempt) -> None:
    figures = {f"figure_{number}": number * 0.123456789 for number in range(12)}
    started = time.process_time()
    for _ in range(2000):
        attempt.emit("metrics_update", figures)
    per_event_us = (time.process_time() - started) / 2000 * 1e6
    assert per_event_us < 300, "it takes less than 10 on an idle machine"


def test_a_full_disk_leaves_no_half_line(attempt: Attempt) -> None:
    attempt.emit("log", {})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (AttemptFolder(attempt.folder).events.stat().st_size + 20, hard))
    try:
        with pytest.raises(OSError, match="No space left"):
            attempt.emit("log", {"text": "does not fit"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert attempt.emit("log", {"text": "fits again"}) == 2
    assert [line["seq"] for line in _lines(attempt)] == [1, 2]


def test_control_is_what_was_asked_last(attempt: Attempt) -> None:
    assert attempt.control() is None
    AttemptFolder(attempt.folder).write_control({"control": "pause", "deadline": 0.0})
    assert attempt.control() is Control.PAUSE
    assert Result.of_control(Control.PAUSE, {"step": 3}).outcome is Outcome.PAUSED
