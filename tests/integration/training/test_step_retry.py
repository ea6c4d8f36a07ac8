"""A step that meets a fault which may pass is done again as if nothing had happened."""

import errno
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Trainer, TrainingArguments

from services.training.course import Course
from services.training.stepping import Stepping
from shared.contracts.work import JobKind
from shared.kit.artifacts import ArtifactStore
from tests.attempts import attempt_spec, events_of, open_attempt


class Flaky(torch.nn.Module):  # type: ignore[misc]
    """One weight with dropout; reading its input fails at the calls that it is told, after having drawn chance."""

    def __init__(self, failing: set[int], fault: Exception) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(4))
        self.failing = failing
        self.fault = fault
        self.calls = 0

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Squared error."""
        self.calls += 1
        kept = torch.nn.functional.dropout(x * self.weight, 0.5)
        if self.calls in self.failing:
            raise self.fault
        return {"loss": ((kept.sum(-1) - labels) ** 2).mean()}


class Share(torch.utils.data.Dataset):  # type: ignore[misc]
    """Rows on a disk far away: reading one fails at the calls that it is told, after having drawn chance."""

    def __init__(self, rows: list[dict[str, torch.Tensor]], failing: set[int], fault: Exception) -> None:
        self.rows = rows
        self.failing = failing
        self.fault = fault
        self.calls = 0

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        self.calls += 1
        noise = torch.rand(())
        if self.calls in self.failing:
            raise self.fault
        return {**self.rows[index], "x": self.rows[index]["x"] + noise}


def train(
    folder: Path, failing: set[int], fault: Exception, retries: int = 3, unread: frozenset[int] = frozenset()
) -> tuple[list[float], list[Any]]:
    """Weights after six steps of two micro-batches each, and what was told."""
    folder.mkdir()
    store = ArtifactStore(str(folder / "store"), folder / "cache")
    attempt = open_attempt(folder, attempt_spec(JobKind.TRAINING, {}, {}), store)
    model = Flaky(failing, fault)
    torch.manual_seed(7)
    rows = [{"x": torch.randn(4), "labels": torch.randn(())} for _ in range(24)]
    arguments = TrainingArguments(
        output_dir=str(folder / "out"), per_device_train_batch_size=2, gradient_accumulation_steps=2, max_steps=6,
        learning_rate=0.1, report_to="none", use_cpu=True, disable_tqdm=True, save_strategy="no", seed=3,
    )  # fmt: skip
    stepping = Stepping(attempt, Course.of(attempt.work), retries)
    with stepping.in_charge():
        Trainer(model, arguments, train_dataset=Share(rows, {*unread}, fault)).train()
    assert [step for step, _ in stepping.losses()] == [1, 2, 3, 4, 5, 6]
    return model.weight.tolist(), [event["data"] for event in events_of(attempt)]


@pytest.mark.parametrize(
    "fault",
    [OSError(errno.EIO, "Input/output error"), OSError(errno.ESTALE, "Stale file handle"), TimeoutError("slow disk"),
     ConnectionResetError(errno.ECONNRESET, "reset")],
    ids=lambda fault: type(fault).__name__,
)  # fmt: skip
def test_a_fault_that_passes_changes_nothing_of_the_weights(tmp_path: Path, fault: Exception) -> None:
    undisturbed, _ = train(tmp_path / "undisturbed", set(), fault)
    disturbed, told = train(tmp_path / "disturbed", {2, 4, 5}, fault)
    assert disturbed == undisturbed
    assert [data["safeguard"] for data in told] == ["step_retry"] * 3
    assert [data["evidence"]["tries"] for data in told] == [1, 2, 3]


def test_a_fault_that_stays_ends_the_run_after_the_tries_it_is_allowed(tmp_path: Path) -> None:
    fault = OSError(errno.EIO, "Input/output error")
    with pytest.raises(OSError, match="Input/output"):
        train(tmp_path / "broken", set(range(1, 100)), fault, retries=2)


def test_a_fault_that_cannot_pass_is_not_tried_again(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="wrong"):
        train(tmp_path / "wrong", {1}, ValueError("wrong shape"))


def test_a_row_that_cannot_be_read_for_a_moment_changes_nothing_of_the_weights(tmp_path: Path) -> None:
    fault = OSError(errno.ESTALE, "Stale file handle")
    undisturbed, _ = train(tmp_path / "undisturbed", set(), fault)
    # The first batch, one that is read ahead, and one row three times in a row.
    disturbed, told = train(tmp_path / "disturbed", set(), fault, unread=frozenset({2, 7, 14, 15, 16}))
    assert disturbed == undisturbed
    assert [data["safeguard"] for data in told] == ["step_retry"] * 5
    assert [data["evidence"]["tries"] for data in told] == [1, 1, 1, 2, 3]
    assert {(data["sign"], data["evidence"]["while"]) for data in told} == {("storage_failed", "reading")}


def test_a_row_that_stays_unreadable_ends_the_run_after_the_tries_it_is_allowed(tmp_path: Path) -> None:
    fault = OSError(errno.EIO, "Input/output error")
    with pytest.raises(OSError, match="Input/output"):
        train(tmp_path / "broken", set(), fault, retries=2, unread=frozenset(range(5, 8)))
    with pytest.raises(ValueError, match="no row"):
        train(tmp_path / "wrong", set(), ValueError("no row"), unread=frozenset({5}))
