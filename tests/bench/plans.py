"""What `POST /api/training/plan` estimates of memory, beside the peak of the very training it was asked about."""

import json
import random
from pathlib import Path
from typing import Any

from tests.bench.table import Figure
from tests.mesh import Mesh
from tests.stories import wait_for

_WITHIN = 0.2
_WORDS, _ROW_WORDS, _ROWS = 6000, 700, 48
_MODELS = {"small": (256, 4, 4000), "wide": (512, 6, 8000), "deep": (384, 12, 4000)}
"""Hidden size, layers, vocabulary."""
_CASES: tuple[dict[str, Any], ...] = (
    {"modelName": "small", "finetuningType": "lora", "batchSize": 2, "cutoffLen": 256},
    {"modelName": "small", "finetuningType": "full", "batchSize": 8, "cutoffLen": 512},
    {"modelName": "small", "finetuningType": "freeze", "batchSize": 8, "cutoffLen": 256},
    {"modelName": "small", "finetuningType": "lora", "batchSize": 16, "cutoffLen": 512},
    {"modelName": "wide", "finetuningType": "lora", "batchSize": 4, "cutoffLen": 256},
    {"modelName": "wide", "finetuningType": "full", "batchSize": 4, "cutoffLen": 256},
    {"modelName": "wide", "finetuningType": "lora", "batchSize": 8, "cutoffLen": 512},
    {"modelName": "wide", "finetuningType": "lora", "batchSize": 8, "cutoffLen": 512, "gradientCheckpointing": "on"},
    {"modelName": "deep", "finetuningType": "full", "batchSize": 4, "cutoffLen": 256},
    {"modelName": "deep", "finetuningType": "full", "batchSize": 2, "cutoffLen": 512, "gradientAccumulationSteps": 2},
    {"modelName": "deep", "finetuningType": "lora", "batchSize": 8, "cutoffLen": 256, "loraRank": 64},
    {"modelName": "deep", "finetuningType": "lora", "batchSize": 4, "cutoffLen": 512, "gradientCheckpointing": "on"},
    {"modelName": "deep", "finetuningType": "lora", "batchSize": 8, "cutoffLen": 256, "gradientCheckpointing": "on"},
    {"modelName": "small", "finetuningType": "lora", "batchSize": 16, "cutoffLen": 512, "gradientCheckpointing": "on"},
    {"modelName": "deep", "finetuningType": "full", "batchSize": 4, "cutoffLen": 512, "gradientCheckpointing": "on"},
    {"modelName": "small", "finetuningType": "full", "batchSize": 8, "cutoffLen": 512, "gradientCheckpointing": "on"},
    {"modelName": "deep", "finetuningType": "lora", "stage": "pt", "batchSize": 4, "cutoffLen": 512},
)


def measure(mesh: Mesh, folder: Path) -> list[Figure]:
    """Estimated over measured peak for each configuration, and the worst of them."""
    _furnish(mesh, folder)
    figures, errors = [], []
    for case in _CASES:
        body = {"stage": "sft", "dataset": "stories", "learningRate": 1e-4, "maxSteps": 4, "loggingSteps": 1, **case}
        plan = mesh.api.post("/api/training/plan", json=body, timeout=200).raise_for_status().json()
        job_id = mesh.api.post("/api/training/jobs", json=body).raise_for_status().json()["jobId"]
        assert wait_for(mesh, job_id, within_s=600)["status"] == "succeeded"
        report = json.loads((mesh.folder / "training" / "jobs" / job_id / "1" / "exit.json").read_bytes())
        measured = report["peak_memory_bytes"] / 2**30
        errors.append(abs(plan["memory"]["peak"] / measured - 1))
        name = " ".join(str(value) for value in case.values())
        figures.append(Figure(f"plan: {name}: peak", plan["memory"]["peak"] / measured, f"of {measured:.2f} GiB"))
    worst = max(errors)
    figures.append(Figure("plan: furthest from the measured peak", worst, "", f"≤ {_WITHIN}", worst <= _WITHIN))
    return figures


def _furnish(mesh: Mesh, folder: Path) -> None:
    draw = random.Random(7)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(3, 8))) for _ in range(_WORDS)]
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {"messages": [
            {"role": "user", "content": " ".join(draw.choices(words, k=_ROW_WORDS))},
            {"role": "assistant", "content": " ".join(draw.choices(words, k=_ROW_WORDS))},
        ]}
        for _ in range(_ROWS)
    ]  # fmt: skip
    (folder / "stories.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    mesh.cli("datasets", "add", str(folder / "stories.jsonl"), "--name", "stories")
    for name, (hidden, layers, vocabulary) in _MODELS.items():
        body = {
            "name": name, "fromDataset": "stories", "hiddenSize": hidden, "layers": layers, "heads": 8,
            "vocabSize": vocabulary, "pretrainSteps": 0,
        }  # fmt: skip
        made = mesh.api.post("/api/models/tiny", json=body)
        assert made.status_code == 202, made.text
        assert wait_for(mesh, made.json()["jobId"], kind="export", within_s=300)["status"] == "succeeded"
