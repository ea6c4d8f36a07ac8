"""The door to LLaMA-Factory for stage ppo; its common one imports what the trl of this stage does not have."""

import os
from typing import Any

# Read when the libraries are imported, as at the common door.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
os.environ.setdefault("DISABLE_VERSION_CHECK", "1")

import datasets
import transformers
from llamafactory.hparams import get_train_args
from llamafactory.train.ppo import workflow
from transformers import TrainerCallback

from services.training.ppo.bridges import BridgedTrainer

workflow.CustomPPOTrainer = BridgedTrainer
datasets.disable_progress_bars()
transformers.utils.logging.disable_progress_bar()


def run_ppo(arguments: dict[str, Any], callbacks: list[TrainerCallback]) -> None:
    """LLaMA-Factory's own workflow, with the bridged trainer."""
    workflow.run_ppo(*get_train_args(arguments), callbacks=callbacks)
