"""The engine through the bootstrap that services use: imported ahead, handed a job, gone with its result on disk."""

import json
import os
import socket
import subprocess
import sys

from shared.contracts.work import AttemptSpec, JobKind
from shared.kit.ids import new_id
from shared.worker.environment import engine_environment
from tests.integration.training.laboratory import QUICK, Laboratory, Run


def prepare(laboratory: Laboratory) -> Run:
    """An attempt's folder, as the service leaves it for the engine."""
    job = new_id("job")
    spec = AttemptSpec(
        attempt_id=f"{job}.1", job_id=job, number=1, kind=JobKind.TRAINING, spec=QUICK,
        datasets={"train": laboratory.dataset([])}, models={"base": laboratory.base()},
    )  # fmt: skip
    folder = laboratory.folder / "jobs" / job / "1"
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(spec.model_dump_json())
    return Run(folder)


def test_a_spare_engine_imports_first_and_ends_with_a_result(laboratory: Laboratory) -> None:
    run = prepare(laboratory)
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "shared.worker.engine", "services.training.engine", "spare", str(os.getpid())]
    with (
        ours,
        subprocess.Popen(
            command, stdin=theirs.fileno(), env=engine_environment(os.environ, laboratory.cache)
        ) as engine,
    ):
        theirs.close()
        ours.settimeout(60)
        assert ours.recv(64) == b"ready\n"
        job = {
            "folder": str(run.folder),
            "artifacts_url": str(laboratory.folder / "artifacts"),
            "cache": str(laboratory.cache),
            "stop_grace_s": 5.0,
        }
        ours.sendall(json.dumps(job).encode() + b"\n")
        assert engine.wait(60) == 1
    assert run.result.failure is not None
    assert run.result.failure.reason == "no_trainable_rows"
