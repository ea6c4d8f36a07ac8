"""A real Trainer, with nothing of ours but the callback."""

from pathlib import Path

import pytest
import torch
from transformers import Trainer, TrainerCallback, TrainingArguments

from imts.tracking import start
from imts.tracking.transformers import ImtsCallback
from tests.integration.stream.client import StreamCaller
from tests.integration.tracking.conftest import KEY, Environment


class Line(torch.nn.Module):
    """y = wx + b, with the loss a Trainer asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        out = self.layer(x)
        return {"loss": torch.nn.functional.mse_loss(out, labels), "logits": out}


def _trainer(folder: Path, callback: TrainerCallback) -> Trainer:
    rows = [{"x": torch.tensor([float(x)]), "labels": torch.tensor([2.0 * x])} for x in range(-8, 8)]
    arguments = TrainingArguments(
        output_dir=str(folder / "out"), max_steps=6, logging_steps=2, eval_strategy="steps", eval_steps=6,
        per_device_train_batch_size=4, report_to="none", save_steps=6, use_cpu=True, disable_tqdm=True, run_name="line",
        dataloader_pin_memory=False,
    )  # fmt: skip
    return Trainer(model=Line(), args=arguments, train_dataset=rows, eval_dataset=rows, callbacks=[callback])


def _check(person: StreamCaller, run_id: str) -> None:
    history = person.http.get("/api/metrics/history", params={"job_id": run_id}).json()["data"]
    assert [event["data"]["step"] for event in history] == [2, 4, 6]
    assert history[0]["data"]["train_loss"] > 0
    assert history[0]["data"]["advanced_metrics"]["gradient_norm"] > 0
    assert history[-1]["data"]["val_loss"] > 0
    assert history[-1]["data"]["total_steps"] == 6


@pytest.mark.filterwarnings("ignore")
def test_a_trainer_is_live_with_one_import(
    person: StreamCaller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMTS_API_KEY", KEY)
    monkeypatch.setenv("IMTS_STREAM_URL", person.url)
    monkeypatch.setenv("IMTS_RUNS_DIR", str(tmp_path / "runs"))
    callback = ImtsCallback(project="tests")
    _trainer(tmp_path, callback).train()
    assert callback.run is not None
    _check(person, callback.run.run_id)
    log = person.log(callback.run.run_id)
    assert log[0]["data"]["name"] == "line"
    assert "checkpoint_saved" in [event["event_type"] for event in log]
    assert log[-1]["data"]["status"] == "succeeded"


@pytest.mark.filterwarnings("ignore")
def test_a_run_of_ones_own_stays_open(person: StreamCaller, environ: Environment, tmp_path: Path) -> None:
    with start(folder=tmp_path / "runs", environ=environ) as run:
        _trainer(tmp_path, ImtsCallback(run)).train()
        assert not run.is_finished
    _check(person, run.run_id)
