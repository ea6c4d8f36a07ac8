"""Memory that runs out in the middle of a training costs time and nothing else."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.training.course import NAME as COURSE
from shared.contracts.work import DatasetInput, JobKind, ModelInput
from shared.worker.attempt import Result
from tests.attempts import JOB_ID, attempt_spec, put_model
from tests.engines import Peak, run_engine
from tests.integration.evaluator.tiny import widened
from tests.integration.training.laboratory import QUICK, Event, Laboratory, Run, conversation

ROWS = [conversation(f"{'word ' * 40} What is {a} + {b}?", str(a + b)) for a in range(8) for b in range(4)]
ENGINE = "services.training.engine"
SPEC = {**QUICK, "batchSize": 16, "maxSteps": 3, "cutoffLen": 128, "saveSteps": 1}


@pytest.fixture(scope="module")
def wide(laboratory: Laboratory, tmp_path_factory: pytest.TempPathFactory) -> ModelInput:
    """A model whose logits are what fills memory: rows × tokens × 16,000 words."""
    base = laboratory.store.materialise(laboratory.base().base)
    folder = widened(base, tmp_path_factory.mktemp("wide") / "model", vocabulary=16_000)
    return put_model(laboratory.store, "tiny", folder)


def run(
    laboratory: Laboratory, folder: Path, spec: Event, wide: ModelInput, spare_mb: int = 0, peak: Peak | None = None
) -> tuple[Run, Result]:
    """Train in a process of its own that may take so much more memory than its imports did."""
    rows: DatasetInput = laboratory.dataset(ROWS)
    job = attempt_spec(JobKind.TRAINING, spec, {"train": rows}, {"base": wide})
    spare = spare_mb * 2**20 or None
    result = run_engine(ENGINE, folder, job, str(laboratory.folder / "artifacts"), spare, peak)
    return Run(folder / JOB_ID / "1"), result


@dataclass
class Roomy:
    """A run that nothing limits."""

    run: Run
    peak: Peak


@pytest.fixture(scope="module")
def roomy(laboratory: Laboratory, wide: ModelInput, tmp_path_factory: pytest.TempPathFactory) -> Roomy:
    """What others are compared with."""
    peak = Peak()
    found, result = run(laboratory, tmp_path_factory.mktemp("roomy"), SPEC, wide, peak=peak)
    assert result.failure is None
    return Roomy(found, peak)


def test_a_limit_holds_from_the_first_moment_to_the_last(
    laboratory: Laboratory, wide: ModelInput, roomy: Roomy, tmp_path: Path
) -> None:
    limit = round(roomy.peak.ready + 0.6 * (roomy.peak.highest - roomy.peak.ready))
    peak = Peak()
    spec = {**SPEC, "memoryLimitGb": limit / 1e9, "memoryGuardAt": 1.0}
    tight, result = run(laboratory, tmp_path, spec, wide, peak=peak)
    assert roomy.peak.highest - limit > 150 * 2**20, "the run would have stayed below by itself"
    assert peak.highest <= limit
    assert result.failure is None, result.failure
    told = tight.told("safeguard_struck")
    assert {data["safeguard"] for data in told} <= {"out_of_memory", "memory_guard"}
    assert told[-1]["batch_size"] < 16
    newest = {data["step"]: data["train_loss"] for data in tight.told("metrics_update")}
    assert newest == pytest.approx(roomy.run.losses(), rel=1e-3)


def test_it_goes_on_with_fewer_rows_at_a_time_and_the_same_global_batch(
    laboratory: Laboratory, wide: ModelInput, roomy: Roomy, tmp_path: Path
) -> None:
    tight, result = run(laboratory, tmp_path / "tight", SPEC, wide, 400)
    assert result.failure is None, result.failure
    told = tight.told("safeguard_struck")
    assert told
    assert {data["sign"] for data in told} == {"out_of_memory_host"}
    assert all(data["batch_size"] * data["gradient_accumulation_steps"] == 16 for data in told)
    assert [data["batch_size"] for data in told] == [8, 4, 2, 1][: len(told)]
    assert tight.told("training_rewound")[0]["cause"] == "out_of_memory_host"
    course = json.loads((tight.folder.parent / "work" / COURSE).read_text())
    assert course["batch_size"] == told[-1]["batch_size"]
    newest = {data["step"]: data["train_loss"] for data in tight.told("metrics_update")}
    assert newest == pytest.approx(roomy.run.losses(), rel=1e-3)


def test_switched_off_it_fails_as_before(laboratory: Laboratory, wide: ModelInput, tmp_path: Path) -> None:
    tight, result = run(laboratory, tmp_path, {**SPEC, "oomRecovery": False}, wide, 400)
    assert tight.told("safeguard_struck") == []
    assert result.failure is not None
    assert result.failure.reason == "out_of_memory_host"
    assert result.failure.suggestion is not None
    assert result.failure.suggestion.patch == {"batchSize": 8, "gradientAccumulationSteps": 2}


def test_one_row_that_is_too_much_fails_for_good(laboratory: Laboratory, wide: ModelInput, tmp_path: Path) -> None:
    tight, result = run(laboratory, tmp_path, {**SPEC, "batchSize": 2}, wide, 100)
    assert [data["batch_size"] for data in tight.told("safeguard_struck")] in ([1], [])
    assert result.failure is not None
    assert result.failure.reason == "out_of_memory_host"
