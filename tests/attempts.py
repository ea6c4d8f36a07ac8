"""Attempts as an engine gets them, without a worker around it."""

import json
from collections.abc import Sequence
from pathlib import Path

from shared.contracts.base import JsonObject
from shared.contracts.work import AttemptSpec, DatasetInput, JobKind, ModelInput
from shared.kit.artifacts import ArtifactStore
from shared.worker.attempt import Attempt

JOB_ID = "job-" + "0" * 26


def put_rows(store: ArtifactStore, name: str, rows: Sequence[JsonObject]) -> DatasetInput:
    """Store normalised rows as a data set version."""
    blob = store.put_bytes("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())
    return DatasetInput(
        dataset_id=f"ds-{name}", name=name, version=1, format="messages", rows=len(rows), sha256=blob.sha256
    )


def put_model(
    store: ArtifactStore, name: str, base: Path, adapter: Path | None = None, template: str = "chatml"
) -> ModelInput:
    """Store a model's folders as a model version."""
    return ModelInput(
        model_id=f"md-{name}", name=name, version=1, base=store.put_tree(base).sha256,
        adapter=None if adapter is None else store.put_tree(adapter).sha256, template=template,
    )  # fmt: skip


def attempt_spec(
    kind: JobKind, spec: JsonObject, datasets: dict[str, DatasetInput], models: dict[str, ModelInput] | None = None
) -> AttemptSpec:
    """A first attempt."""
    return AttemptSpec(
        attempt_id=f"{JOB_ID}.1", job_id=JOB_ID, number=1, kind=kind, spec=spec, datasets=datasets, models=models or {}
    )


def open_attempt(folder: Path, spec: AttemptSpec, store: ArtifactStore) -> Attempt:
    """The attempt in `<folder>/<job>/<number>`, as an engine sees it."""
    own = folder / spec.job_id / str(spec.number)
    work = own.parent / "work"
    own.mkdir(parents=True)
    work.mkdir()
    return Attempt(spec, own, work, store)


def events_of(attempt: Attempt) -> list[JsonObject]:
    """What the attempt said so far."""
    return [json.loads(line) for line in (attempt.folder / "events.jsonl").read_text().splitlines()]


def chat(question: str, answer: str) -> JsonObject:
    """A row of one question and one answer."""
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}
