"""A training by plain `llamafactory-cli train`, as people run it who do not know of IMTS."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml


def plain_training(model: Path, rows: list[dict[str, Any]], work: Path, **more: Any) -> Path:
    """Train, and answer the output folder; `rows` are OpenAI messages."""
    work.mkdir(parents=True)
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    columns = {"messages": "messages"}
    info = {"own": {"file_name": "rows.json", "formatting": "sharegpt", "columns": columns, "tags": tags}}
    (work / "dataset_info.json").write_text(json.dumps(info))
    (work / "rows.json").write_text(json.dumps(rows))
    config = {
        "do_train": True, "stage": "sft", "finetuning_type": "lora", "lora_target": "all", "lora_rank": 4,
        "model_name_or_path": str(model), "template": "chatml", "dataset": "own", "dataset_dir": str(work),
        "output_dir": str(work / "out"), "cutoff_len": 64, "per_device_train_batch_size": 4, "learning_rate": 0.01,
        "max_steps": 12, "logging_steps": 1, "save_steps": 12, "report_to": "none", "seed": 42, **more,
    }  # fmt: skip
    (work / "train.yaml").write_text(yaml.safe_dump(config))
    command = [str(Path(sys.executable).parent / "llamafactory-cli"), "train", str(work / "train.yaml")]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "DISABLE_VERSION_CHECK": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return work / "out"
