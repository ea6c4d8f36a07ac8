"""A warm engine, a store and a tiny model, for tests that train for real."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from shared.contracts.commands import Action, Command
from shared.contracts.work import AttemptCause, AttemptSpec, Control, DatasetInput, JobKind, ModelInput
from shared.kit.artifacts import ArtifactStore
from shared.kit.ids import new_id
from shared.worker.attempt import Result
from shared.worker.commands import NAME as COMMANDS
from shared.worker.commands import append_command
from shared.worker.environment import engine_environment
from shared.worker.folder import AttemptFolder
from tests.waiting import eventually

Event = dict[str, Any]
QUICK = {
    "modelName": "tiny",
    "dataset": "sums",
    "batchSize": 4,
    "learningRate": 0.01,
    "maxSteps": 12,
    "loggingSteps": 1,
    "cutoffLen": 64,
    "loraRank": 4,
}  # fmt: skip


def conversation(question: str, answer: str) -> Event:
    """A normalised row."""
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


SUMS = [conversation(f"What is {a} + {b}?", str(a + b)) for a in range(8) for b in range(8)]


@dataclass
class Run:
    """An attempt that was asked for; `folder` is its own."""

    folder: Path

    @property
    def events(self) -> list[Event]:
        """What it has told so far."""
        path = self.folder / "events.jsonl"
        text = path.read_bytes() if path.exists() else b""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith(b"\n")]

    def told(self, kind: str) -> list[Event]:
        """The data of its events of one kind."""
        return [event["data"] for event in self.events if event["event_type"] == kind]

    def losses(self) -> dict[int, float]:
        """Training loss by step."""
        updates = [data for data in self.told("metrics_update") if "train_loss" in data]
        assert len({data["step"] for data in updates}) == len(updates), "a step was reported twice"
        return {data["step"]: data["train_loss"] for data in updates}

    @property
    def result(self) -> Result:
        """How it ended."""
        return Result.model_validate_json((self.folder / "outcome.json").read_bytes())

    @property
    def checkpoints(self) -> Path:
        """Where the job's checkpoints lie."""
        return self.folder.parent / "work" / "checkpoints"

    def tell(self, action: Action, value: float | None = None) -> str:
        """Write a command down, as the service does; its id."""
        command = Command(command_id=new_id("cmd"), action=action, value=value)
        append_command(self.folder.parent / "work" / COMMANDS, command.model_dump(mode="json"))
        return command.command_id

    def ask(self, control: Control) -> None:
        """Write the order down, as the service does before it signals."""
        AttemptFolder(self.folder).write_control({"control": control.value, "deadline": 0.0})


class Laboratory:
    """Starts its engine when first needed, and again after it was killed."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str] | None = None, module: str = "services.training.engine"
    ) -> None:
        self.folder = folder
        self._module = module
        self._environment = environment or {}
        self.cache = folder / "cache"
        self.store = ArtifactStore(str(folder / "artifacts"), self.cache)
        self._engine: subprocess.Popen[str] | None = None
        self._made: dict[str, ModelInput] = {}

    def engine(self) -> subprocess.Popen[str]:
        """The engine's process, its imports done."""
        if self._engine is None or self._engine.poll() is not None:
            command = [sys.executable, "-m", "tests.integration.training.engine_host"]
            with (self.folder / "engine.log").open("a") as log:
                self._engine = subprocess.Popen(
                    [*command, str(self.folder / "artifacts"), str(self.cache), self._module],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                    env={**engine_environment(os.environ, self.cache), **self._environment},
                )  # fmt: skip
            assert _pipe(self._engine.stdout).readline() == "ready\n", self.log()
        return self._engine

    def log(self) -> str:
        """What the engine said."""
        return (self.folder / "engine.log").read_text()[-4000:]

    def close(self) -> None:
        """End the engine."""
        if self._engine is not None:
            _pipe(self._engine.stdin).close()
            _pipe(self._engine.stdout).close()
            self._engine.wait(20)

    def engine_died(self) -> None:
        """Wait for a killed engine to be gone; the next attempt gets a new one."""
        dead = self._engine
        assert dead is not None
        dead.wait(20)
        _pipe(dead.stdin).close()
        _pipe(dead.stdout).close()

    def dataset(self, rows: list[Event], images: list[bytes] | None = None) -> DatasetInput:
        """A stored data set; its rows name `images` by their hashes."""
        blob = self.store.put_bytes("".join(f"{json.dumps(row)}\n" for row in rows).encode())
        return DatasetInput(
            dataset_id="ds-1", name="sums", version=1, format="messages", rows=len(rows), sha256=blob.sha256,
            images=self._gallery(images) if images else None,
        )  # fmt: skip

    def _gallery(self, images: list[bytes]) -> str:
        folder = self.folder / f"images-{new_id('m')}"
        folder.mkdir()
        for image in images:
            (folder / hashlib.sha256(image).hexdigest()).write_bytes(image)
        return self.store.put_tree(folder).sha256

    def base(self) -> ModelInput:
        """A tiny model, made once by the engine itself."""
        return self._tiny(name="tiny")

    def seer(self, rows: list[Event]) -> ModelInput:
        """A tiny model that takes images, and has read the questions of `rows`."""
        return self._tiny(rows, name="seer", takesImages=True, pretrainSteps=100)

    def _tiny(self, rows: list[Event] = SUMS, **asked: Any) -> ModelInput:
        name = str(asked["name"])
        if name not in self._made:
            spec = {"operation": "make_tiny", "fromDataset": "sums", "pretrainSteps": 2, "seed": 3, **asked}
            run = self.finish(self.begin(spec, kind=JobKind.EXPORT, rows=rows))
            made = run.result.result["model"]
            assert isinstance(made, dict), self.log()
            self._made[name] = ModelInput(
                model_id="m-1", name=name, version=1, base=str(made["base"]), template=str(made["template"])
            )
        return self._made[name]

    def variant(self, change: Callable[[Path], None]) -> ModelInput:
        """The tiny model as it would be had its folder been changed before it was imported."""
        folder = self.folder / f"variant-{new_id('m')}"
        shutil.copytree(self.store.materialise(self.base().base), folder, copy_function=shutil.copyfile)
        change(folder)
        return self.base().model_copy(update={"base": self.store.put_tree(folder).sha256})

    def begin(
        self,
        spec: Event,
        *,
        after: Run | None = None,
        cause: AttemptCause = AttemptCause.RETRY,
        kind: JobKind = JobKind.TRAINING,
        told: tuple[Action, float | None] | None = None,
        rows: list[Event] = SUMS,
        validation: list[Event] | None = None,
        mix: list[list[Event]] | None = None,
        base: ModelInput | None = None,
        images: list[bytes] | None = None,
        reward: ModelInput | None = None,
    ) -> Run:
        """Hand an attempt to the engine; `after` makes it the next one of the same job, `told` is its first command."""
        given = base or (None if kind is JobKind.EXPORT else self.base())
        named = {"base": given, "reward": reward}
        models = {role: model for role, model in named.items() if model is not None}
        mixed = {f"train_{place}": self.dataset(part) for place, part in enumerate(mix or [], 1)}
        datasets = mixed or {"train": self.dataset(rows, images)}
        if validation is not None:
            datasets["validation"] = self.dataset(validation, images)
        job = after.folder.parent.name if after else new_id("job")
        number = int(after.folder.name) + 1 if after else 1
        attempt = AttemptSpec(
            attempt_id=f"{job}.{number}", job_id=job, number=number, kind=kind, spec=spec,
            cause=cause if after else AttemptCause.FIRST, datasets=datasets, models=models,
        )  # fmt: skip
        folder = self.folder / "jobs" / job / str(number)
        folder.mkdir(parents=True)
        (folder / "spec.json").write_text(attempt.model_dump_json())
        if told is not None:
            (folder.parent / "work").mkdir(exist_ok=True)
            Run(folder).tell(*told)
        stdin = _pipe(self.engine().stdin)
        stdin.write(f"{json.dumps(str(folder))}\n")
        stdin.flush()
        return Run(folder)

    def finish(self, run: Run) -> Run:
        """Wait for the engine to be done with it."""
        assert _pipe(self.engine().stdout).readline() == "done\n", self.log()
        return run

    def signal(self, run: Run, number: int, *, after_step: int, control: Control | None = None) -> None:
        """Signal the engine once a run has passed a step, and wait for the end of the run or of the engine."""
        eventually(run.losses, lambda losses: max(losses, default=0) > after_step, within_s=60)
        if control is not None:
            run.ask(control)
        os.kill(self.engine().pid, number)
        if control is None:
            self.engine_died()
        else:
            self.finish(run)

    def train(self, spec: Event, **more: Any) -> Run:
        """Begin and finish."""
        return self.finish(self.begin(spec, **more))


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream
