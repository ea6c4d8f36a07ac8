"""The engine process of `tests.bench.callbacks`: runs with and without our callbacks, in turns."""

import json
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from examples.arithmetic.generate import generate
from services.training.course import Course
from services.training.crew import Crew
from services.training.data_files import write_data
from services.training.devices import fit_threads, machine
from services.training.export.tiny import make_tiny
from services.training.llama_factory import run_exp
from services.training.mixing import whole
from services.training.recipe import TRAIN, Inputs, Places, engine_arguments
from services.training.weights import Weights, weights_of
from shared.contracts.training import TrainingSpec
from shared.contracts.work import AttemptSpec, JobKind, ModelInput
from shared.kit.artifacts import ArtifactStore
from shared.worker.attempt import Attempt

STEPS = 250
JOB = "job-" + "0" * 26


class Timed(TrainerCallback):
    """Runs the hooks that its inner callbacks really have, and adds up the thread time they take."""

    def __init__(self, inner: list[TrainerCallback]) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        for name in vars(TrainerCallback):
            hooks = [getattr(callback, name) for callback in inner if name in vars(type(callback))]
            if name.startswith("on_") and hooks:
                setattr(self, name, self._timed(name, hooks))

    def _timed(self, name: str, hooks: list[Callable[..., Any]]) -> Callable[..., None]:
        def run(*args: Any, **kwargs: Any) -> None:
            began = time.thread_time()
            for hook in hooks:
                hook(*args, **kwargs)
            self.seconds[name] += time.thread_time() - began

        return run


def _prepare(folder: Path) -> tuple[Path, Path, Weights]:
    rows = [json.loads(line) for line in generate(folder, seed=7)["train"].read_text().splitlines()[:1000]]
    model = folder / "tiny"
    make_tiny([f"{row['instruction']}\n{row['input']}".strip() for row in rows], model, seed=7)
    turns = [[("user", f"{row['instruction']}\n{row['input']}".strip()), ("assistant", row["output"])] for row in rows]
    blob = folder / "rows.jsonl"
    lines = [{"messages": [{"role": role, "content": text} for role, text in turn]} for turn in turns]
    blob.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return model, blob, weights_of(model)


def _one_run(folder: Path, inputs: Inputs, spec: TrainingSpec, weights: Weights, is_ours: bool) -> dict[str, float]:
    """Wall clock of a step, and what of it our callbacks' own thread time is."""
    work = folder / "run"
    shutil.rmtree(work, ignore_errors=True)
    (work / "attempt").mkdir(parents=True)
    places = Places(work / "out", work / "cache")
    base = ModelInput(model_id="m-1", name="tiny", version=1, base="0" * 64, template="chatml")
    asked = AttemptSpec(
        attempt_id=f"{JOB}.1", job_id=JOB, number=1, kind=JobKind.TRAINING, spec={}, models={"base": base}
    )
    attempt = Attempt(asked, work / "attempt", work, ArtifactStore(str(work / "store"), work / "cache"))
    crew = Crew(attempt, spec, Course.of(work), weights, run_exp)
    ours = Timed(crew.callbacks(work / "beginning") if is_ours else [])
    clock = _Clock()
    with crew.stepping.in_charge() if is_ours else nullcontext():
        run_exp(dict(engine_arguments(spec, inputs, places, machine(spec, gpus=0))), [clock, ours])
    # The last checkpoint is sealed at the end.
    saving = sum(ours.seconds[name] for name in ("on_save", "on_epoch_end", "on_train_end"))
    at_once = ours.seconds["on_init_end"] + ours.seconds["on_train_begin"]
    return {
        "step_ms": clock.seconds / STEPS * 1e3,
        "callback_us": (sum(ours.seconds.values()) - saving - at_once) / STEPS * 1e6,
        "log_us": ours.seconds["on_log"] / (STEPS / spec.logging_steps) * 1e6,
        "save_ms": saving * 1e3,
        "begin_ms": at_once * 1e3,
    }


class _Clock(TrainerCallback):
    """Wall clock from the first step to the last."""

    seconds = 0.0

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self._began = time.perf_counter()

    def on_train_end(self, *_: Any, **__: Any) -> None:
        self.seconds = time.perf_counter() - self._began


def main(folder: Path, rounds: int) -> None:
    """Print the samples as one line of JSON."""
    model, blob, weights = _prepare(folder)
    fit_threads(weights.size)
    data = folder / "data"
    found: dict[int, dict[str, list[dict[str, float]]]] = {}
    for every in (1, 10):
        spec = TrainingSpec.model_validate(
            {"modelName": "tiny", "dataset": "rows", "maxSteps": STEPS, "loggingSteps": every, "cutoffLen": 128,
             "learningRate": 1e-3, "saveSteps": 10_000}
        )  # fmt: skip
        shutil.rmtree(data, ignore_errors=True)
        write_data(data, spec.stage, {TRAIN: whole("rows", blob)})
        inputs = Inputs(model, weights.size, "chatml", data)
        _one_run(folder, inputs, spec, weights, is_ours=True)
        found[every] = {"with": [], "without": []}
        for number in range(rounds):
            # Now the one first, now the other: a machine that grows slower or faster favours neither.
            for side, is_ours in sorted((("without", False), ("with", True)), reverse=number % 2 == 0):
                found[every][side].append(_one_run(folder, inputs, spec, weights, is_ours))
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
