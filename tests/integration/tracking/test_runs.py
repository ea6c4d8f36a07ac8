"""A run of any trainer reaches the log once and in order, whatever happens to the server or to its own process."""

import math
import subprocess
import sys
from pathlib import Path

import pytest

from imts.tracking import start
from imts.tracking.journal import journals
from tests.integration.stream.client import StreamCaller, code_of, phase
from tests.integration.tracking.conftest import Environment
from tests.waiting import eventually

_LEFT_OPEN = """
import sys
from pathlib import Path
import imts
run = imts.start(name="left open", folder=Path(sys.argv[1]))
run.log({"train_loss": 1.0})
print(run.run_id, flush=True)
raise ValueError("diverged") if sys.argv[2] == "raise" else SystemExit
"""


def test_a_project_that_is_no_name_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a project is a name"):
        start(project="my project", folder=tmp_path)
    assert journals(tmp_path) == []


def _steps(caller: StreamCaller, run_id: str) -> list[int]:
    return [event["data"]["step"] for event in caller.log(run_id) if event["event_type"] == "metrics_update"]


def test_a_run_is_live_has_figures_and_ends(person: StreamCaller, environ: Environment, tmp_path: Path) -> None:
    with start(name="mine", project="p", config={"lr": 0.1}, folder=tmp_path, environ=environ) as run:
        run.log({"train_loss": 2.0, "learning_rate": 0.1}, step=1)
        eventually(lambda: _steps(person, run.run_id), lambda steps: steps == [1])
        run.log({"train_loss": math.nan, "advanced_metrics": {"gradient_norm": 3.0}})

    events = person.events(run.run_id)
    assert [event.event for event in events] == [
        "run_started", "metrics_update", "metrics_update", "run_finished", "stream_end",
    ]  # fmt: skip
    current = person.http.get("/api/metrics/current", params={"job_id": run.run_id}).json()["data"]
    assert current["train_loss"] is None
    assert current["non_finite"] == ["train_loss"]
    history = person.http.get("/api/metrics/history", params={"job_id": run.run_id}).json()["data"]
    assert [event["data"]["step"] for event in history] == [1, 2]
    assert journals(tmp_path) == []


def test_an_exception_ends_the_run_as_failed(person: StreamCaller, environ: Environment, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), start(folder=tmp_path, environ=environ) as run:
        _ = 1 // 0
    assert person.log(run.run_id)[-1]["data"]["status"] == "failed"
    with pytest.raises(RuntimeError, match="start another run"):
        run.log({"train_loss": 1.0})


@pytest.mark.parametrize(("how", "status"), [("raise", "failed"), ("exit", "succeeded")])
def test_a_script_that_just_ends_has_its_run_ended(
    person: StreamCaller, environ: Environment, tmp_path: Path, how: str, status: str
) -> None:
    command = [sys.executable, "-c", _LEFT_OPEN, str(tmp_path), how]
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert person.log(ended.stdout.strip())[-1]["data"]["status"] == status


def test_what_the_log_refuses_leaves_a_note_in_its_place(
    person: StreamCaller, environ: Environment, tmp_path: Path
) -> None:
    with start(folder=tmp_path, environ=environ) as run:
        run.log({"train_loss": "low"}, step=1)
        run.log({"big": 2**70}, step=2)
        run.log({"text": "\ud800"}, step=3)
        run.event("Not A Type", {})
        run.log({"padding": "x" * 100_000}, step=4)
        run.log({"train_loss": 0.5}, step=5)
    kinds = [event["event_type"] for event in person.log(run.run_id)]
    assert kinds == ["run_started", "log", "log", "log", "log", "log", "metrics_update", "run_finished"]


def test_only_the_run_itself_ends_a_run(person: StreamCaller) -> None:
    run_id, other = "run-" + "0" * 26, "run-" + "1" * 26
    end = {**phase("succeeded"), "event_type": "run_finished", "data": {"status": "failed"}}
    assert code_of(person.append(run_id, other, 1, [end])) == (403, "forbidden")
    assert code_of(person.append(run_id, run_id, 1, [phase("succeeded")])) == (403, "forbidden")
    assert code_of(person.append("job-" + "0" * 26, "me", 1, [end])) == (403, "forbidden")
    assert person.append(run_id, run_id, 1, [end]).status_code == 200
    assert code_of(person.append(run_id, run_id, 2, [end])) == (409, "producer_sealed")
