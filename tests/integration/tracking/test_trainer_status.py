"""Status pushes, as Kubeflow's trainers and a real Hugging Face Trainer send them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from transformers import TrainerCallback
from transformers.integrations.integration_utils import KubeflowCallback

from tests.integration.stream.client import StreamCaller, code_of
from tests.integration.tracking.conftest import KEY
from tests.integration.tracking.test_transformers import _trainer

RUN = "run-" + "0" * 26
PUSH = {
    "trainerStatus": {
        "progressPercentage": 45,
        "estimatedRemainingSeconds": 7_260,
        "metrics": [{"name": "loss", "value": "0.15"}, {"name": "grad_norm", "value": "nan"}],
        "lastUpdatedTime": "2026-01-01T00:00:00Z",
    }
}


def test_a_push_is_echoed_and_lies_in_the_log(person: StreamCaller) -> None:
    answer = person.http.post(f"/v1/runs/{RUN}/trainer-status", json=PUSH)
    assert answer.status_code == 200
    assert answer.json() == PUSH
    progress, metrics = person.log(RUN)
    assert progress["data"] == {"done": 45, "total": 100, "what": "percent"}
    assert metrics["data"]["train_loss"] == 0.15
    assert metrics["data"]["eta"] == "02:01"
    assert metrics["data"]["non_finite"] == ["advanced_metrics.gradient_norm"]


def test_pushes_that_come_at_once_are_all_kept(person: StreamCaller) -> None:
    with ThreadPoolExecutor(4) as senders:
        answers = list(
            senders.map(lambda _: person.http.post(f"/v1/runs/{RUN}/trainer-status", json=PUSH).status_code, range(20))
        )
    assert answers == [200] * 20
    assert [event["seq"] for event in person.log(RUN)] == list(range(1, 41))


@pytest.mark.parametrize("change", [{"progressPercentage": 101}, {"metrics": [{"name": "a\nb", "value": "1"}]}])
def test_a_push_that_makes_no_sense_is_refused(person: StreamCaller, change: dict[str, object]) -> None:
    status = PUSH["trainerStatus"] | change
    answer = person.http.post(f"/v1/runs/{RUN}/trainer-status", json={"trainerStatus": status})
    assert code_of(answer) == (422, "invalid_value")
    assert person.log(RUN) == []


@pytest.mark.filterwarnings("ignore")
def test_a_trainer_pushes_with_no_change_to_its_code(
    person: StreamCaller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text(KEY)
    monkeypatch.setenv("KUBEFLOW_TRAINER_SERVER_URL", f"{person.url}/v1/runs/{RUN}/trainer-status")
    monkeypatch.setenv("KUBEFLOW_TRAINER_SERVER_TOKEN", str(tmp_path / "token"))
    trainer = _trainer(tmp_path, TrainerCallback())
    if not any(isinstance(each, KubeflowCallback) for each in trainer.callback_handler.callbacks):
        trainer.add_callback(KubeflowCallback())
    trainer.train()
    current = person.http.get("/api/metrics/current", params={"job_id": RUN}).json()["data"]
    assert current["train_loss"] > 0
    assert person.log(RUN)[-2]["data"]["done"] == 100
