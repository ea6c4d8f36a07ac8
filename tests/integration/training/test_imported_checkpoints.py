"""A checkpoint of plain LLaMA-Factory becomes a version of the registry, and a training goes on from its weights."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.contracts.models import ModelView
from shared.contracts.work import ModelInput
from tests.integration.orchestrator.registry import KEY, running_registry
from tests.integration.training.laboratory import QUICK, SUMS, Laboratory, Run
from tests.integration.training.test_objectives import succeeded
from tests.plain_llama_factory import plain_training


def test_training_goes_on_from_a_checkpoint_that_plain_llama_factory_made(
    laboratory: Laboratory, whole: Run, tmp_path: Path
) -> None:
    base = laboratory.store.materialise(laboratory.base().base)
    checkpoint = plain_training(base, SUMS, tmp_path / "plain") / "checkpoint-12"
    with running_registry("", tmp_path / "orchestrator", artifacts_url=str(laboratory.folder / "artifacts")) as mesh:
        environment = {**os.environ, "IMTS_URL": str(mesh.user.base_url), "IMTS_API_KEY": KEY}

        def imported(name: str, folder: Path, *more: str) -> tuple[ModelView, str]:
            words = ["models", "import", name, str(folder), *more, "--json"]
            command = [sys.executable, "-m", "imts", *words]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            return ModelView.model_validate_json(done.stdout), done.stderr

        imported("tiny", base, "--template", "chatml")
        view, told = imported("elsewhere", checkpoint, "--base", "tiny")
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json", "training_args.bin"):
        assert name in told
    assert view.adapter is not None
    assert {path.name for path in laboratory.store.materialise(view.adapter).iterdir()} == {
        "adapter_config.json", "adapter_model.safetensors", "README.md",
    }  # fmt: skip
    model = ModelInput(
        model_id=view.model_id, name=view.name, version=1, base=view.base, adapter=view.adapter, template=view.template
    )
    run = succeeded(laboratory.train(QUICK, base=model))
    ended = [entry["loss"] for entry in json.loads((checkpoint / "trainer_state.json").read_text())["log_history"]][11]
    assert run.losses()[1] == pytest.approx(ended, rel=0.25)
    assert run.losses()[1] < 0.95 * whole.losses()[1]
    assert run.losses()[12] < run.losses()[1]
