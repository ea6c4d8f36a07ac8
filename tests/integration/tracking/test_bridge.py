"""A TensorBoard folder becomes a run while it is written."""

import subprocess
import sys
from pathlib import Path

from imts.tensorboard.bridge import Bridge
from imts.tracking import start
from tests.fakes.tensorboard import framed, message
from tests.integration.stream.client import StreamCaller
from tests.integration.tracking.conftest import Environment


def test_files_that_grow_and_appear_are_followed(person: StreamCaller, environ: Environment, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    with start(folder=tmp_path / "runs", environ=environ) as run:
        bridge = Bridge(logs, run)
        assert bridge.poll() == 0
        file = logs / "events.out.tfevents.1.host"
        file.write_bytes(framed(message(1e9, 1, {"Loss/train": 2.0})) + framed(message(1e9, 1, {"grad_norm": 3.0})))
        assert bridge.poll() == 2
        with file.open("ab") as stream:
            stream.write(framed(message(1e9 + 1, 2, {"Loss/train": 1.0}))[:-3])
            stream.flush()
            assert bridge.poll() == 0
            stream.write(framed(message(1e9 + 1, 2, {"Loss/train": 1.0}))[-3:])
        (logs / "eval").mkdir()
        (logs / "eval" / "events.out.tfevents.2.host").write_bytes(framed(message(1e9, 2, {"bleu": 0.5})))
        assert bridge.poll() == 2

    history = person.http.get("/api/metrics/history", params={"job_id": run.run_id}).json()["data"]
    assert [event["data"] for event in history] == [
        {"step": 1, "train_loss": 2.0, "advanced_metrics": {"gradient_norm": 3.0}},
        {"step": 2, "train_loss": 1.0, "eval/bleu": 0.5},
    ]
    assert history[0]["timestamp"] == "2001-09-09T01:46:40Z"


def test_the_command_follows_a_folder_until_it_is_quiet(
    person: StreamCaller, environ: Environment, tmp_path: Path
) -> None:
    (tmp_path / "events.out.tfevents.1.host").write_bytes(
        b"".join(framed(message(1e9, step, {"loss": 1.0})) for step in range(500))
    )
    command = [sys.executable, "-m", "imts", "bridge", "tensorboard", str(tmp_path), "--until-quiet", "0.1"]
    ended = subprocess.run(
        command, env=environ | {"IMTS_RUNS_DIR": str(tmp_path / "runs")}, capture_output=True, text=True, check=True
    )
    run_id, said = ended.stdout.splitlines()
    assert said == "500 scalars"
    assert len(person.log(run_id)) == 502
