"""The vision example learns, and every step of it is in the log."""

from pathlib import Path

from examples.vision import train
from imts.tracking import start
from tests.integration.stream.client import StreamCaller
from tests.integration.tracking.conftest import Environment


def test_the_vision_example_learns_and_is_live(person: StreamCaller, environ: Environment, tmp_path: Path) -> None:
    with start(name="vision", folder=tmp_path, environ=environ) as run:
        reached = train(run, epochs=2, count=1024)
    assert reached > 0.9
    current = person.http.get("/api/metrics/current", params={"job_id": run.run_id}).json()["data"]
    assert {"train_loss", "train_accuracy", "learning_rate", "advanced_metrics", "val_accuracy"} <= current.keys()
    assert current["step"] == current["total_steps"] == 64
    assert [event["event_type"] for event in person.log(run.run_id)].count("metrics_update") == 66
