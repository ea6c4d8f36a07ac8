"""The client over a real socket: requests, error bodies, downloads."""

import io
import json
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from imts.client import Client, ClientError, ImtsApiError, ServerUnreachable
from imts.client.models import left_out
from shared.contracts.training import TrainingSpec
from shared.contracts.work import Artifact
from tests.integration.imts.fake_server import (
    JOB_ID,
    NOW,
    Asked,
    FakeServer,
    closed_url,
    in_turn,
    job_view,
    problem,
    send,
)


def test_a_training_job_carries_the_key_the_fields_and_an_idempotency_key(server: FakeServer, client: Client) -> None:
    server.answers["POST", "/api/training/jobs"] = 202, job_view()
    job = client.jobs.train(modelName="tiny", learning_rate=1e-3)
    asked = server.asked[0]
    assert (job.job_id, job.status) == (JOB_ID, "queued")
    assert asked.headers["authorization"] == "Bearer imts-key"
    assert json.loads(asked.body) == {"modelName": "tiny", "learning_rate": 1e-3}
    assert len(asked.headers["idempotency-key"]) == 32


def test_a_spec_sends_only_what_was_set(server: FakeServer, client: Client) -> None:
    server.answers["POST", "/api/training/jobs"] = 202, job_view()
    client.jobs.train(TrainingSpec(model_name="tiny", dataset="sums", epochs=2), idempotency_key="once")
    assert json.loads(server.asked[0].body) == {"modelName": "tiny", "dataset": "sums", "epochs": 2.0}
    assert server.asked[0].headers["idempotency-key"] == "once"


def test_a_refusal_carries_code_message_and_field(server: FakeServer, client: Client) -> None:
    server.answers["POST", "/api/training/jobs"] = 422, problem("out_of_range", "epochs must be > 0", "epochs")
    with pytest.raises(ImtsApiError) as refused:
        client.jobs.train(epochs=0)
    fault = refused.value
    assert (fault.status, fault.code, fault.param, str(fault)) == (422, "out_of_range", "epochs", "epochs must be > 0")


def test_an_answer_that_is_not_ours_is_told_as_such(server: FakeServer, client: Client) -> None:
    server.answers["GET", "/api/jobs"] = 502, b"<html>bad gateway</html>"
    with pytest.raises(ImtsApiError, match="is it an IMTS server"):
        client.jobs.list()


def test_nobody_listening_is_said_in_a_sentence() -> None:
    with Client(closed_url(), "k") as client, pytest.raises(ServerUnreachable, match=r"connection refused.*imts up"):
        client.jobs.list()


def test_a_plan_may_take_longer_than_other_answers(server: FakeServer) -> None:
    has_gone = threading.Event()

    def answer_late(_: Asked, handler: BaseHTTPRequestHandler) -> None:
        has_gone.wait(30)
        send(handler, {"allowedToProceed": True, "parameters": 7, "trainableParameters": 7, "rows": 1, "steps": 1})

    server.answers["POST", "/api/training/plan"] = answer_late
    server.answers["POST", "/api/training/jobs"] = lambda *_: has_gone.wait(30)
    with Client(server.url, "k", timeout_s=0.3) as client, ThreadPoolExecutor(1) as pool:
        planned = pool.submit(client.jobs.plan, modelName="tiny")
        with pytest.raises(ServerUnreachable, match="did not answer in time"):
            client.jobs.train(modelName="tiny")
        has_gone.set()
        assert planned.result().parameters == 7


@pytest.mark.parametrize("url", ["", "localhost:8080", "ftp://host", "/etc/passwd"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ClientError, match="address of a server"):
        Client(url, "k")


def test_a_key_that_no_header_carries_is_refused() -> None:
    with pytest.raises(ClientError, match="characters"):
        Client("http://127.0.0.1:1", "ключ")


def test_fields_that_a_newer_server_adds_are_ignored(server: FakeServer, client: Client) -> None:
    server.answers["GET", f"/api/jobs/{JOB_ID}"] = {**job_view(), "queuePosition": 3}
    assert client.jobs.get(JOB_ID).current_step == 5


def test_a_file_is_uploaded_with_its_name(server: FakeServer, client: Client, tmp_path: Path) -> None:
    file = tmp_path / "sums.train.jsonl"
    file.write_text('{"text": "1"}\n')
    view = {
        "datasetId": "ds-1", "name": "sums", "version": 1, "rows": 1, "format": "text", "sha256": "0" * 64,
        "sizeBytes": 14, "createdAt": NOW,
    }  # fmt: skip
    server.answers["POST", "/api/datasets"] = 201, view
    assert client.datasets.add(file).dataset_id == "ds-1"
    body = server.asked[0].body
    assert b'name="name"\r\n\r\nsums\r\n' in body
    assert b'{"text": "1"}\n' in body


def test_a_model_folder_travels_without_links_and_subfolders(
    server: FakeServer, client: Client, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    (folder / "checkpoint-1").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "passwd").symlink_to("/etc/passwd")
    server.answers["POST", "/api/models"] = 422, problem("no_weights", "no safetensors in the archive", "file")
    with pytest.raises(ImtsApiError, match="no safetensors"):
        client.models.import_folder("mine", folder)
    assert b"config.json" in server.asked[0].body
    assert b"passwd" not in server.asked[0].body
    assert b"checkpoint-1" not in server.asked[0].body


def test_of_a_checkpoint_the_weights_travel_and_the_trainers_state_stays(
    server: FakeServer, client: Client, tmp_path: Path
) -> None:
    for name in (
        "adapter_config.json",
        "adapter_model.safetensors",
        "optimizer.pt",
        "tokenizer.json",
        "trainer_state.json",
    ):
        (tmp_path / name).write_text("{}")
    with pytest.raises(ClientError, match="holds an adapter"):
        client.models.import_folder("mine", tmp_path)
    server.answers["POST", "/api/models"] = 422, problem("invalid_model", "not these", "files")
    with pytest.raises(ImtsApiError, match="not these"):
        client.models.import_folder("mine", tmp_path, base="tiny")
    (sent,) = server.asked
    assert b'name="base"\r\n\r\ntiny\r\n' in sent.body
    assert b"adapter_model.safetensors" in sent.body
    assert left_out(tmp_path) == ["optimizer.pt", "tokenizer.json", "trainer_state.json"]
    assert not any(name.encode() in sent.body for name in left_out(tmp_path))


def test_a_folder_without_config_is_refused_before_anything_is_sent(client: Client, tmp_path: Path) -> None:
    with pytest.raises(ClientError, match=r"no config\.json"):
        client.models.import_folder("mine", tmp_path)


def _tar(name: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = 2
        tar.addfile(member, io.BytesIO(b"ok"))
    return buffer.getvalue()


def _artifact(name: str, *, is_tree: bool) -> Artifact:
    return Artifact(name=name, sha256="0" * 64, size=2, is_tree=is_tree)


def test_files_and_trees_are_downloaded(server: FakeServer, client: Client, tmp_path: Path) -> None:
    server.answers["GET", f"/api/jobs/{JOB_ID}/artifacts/report.json"] = b"{}"
    server.answers["GET", f"/api/jobs/{JOB_ID}/artifacts/adapter"] = _tar("adapter_config.json")
    report = client.jobs.download(JOB_ID, _artifact("report.json", is_tree=False), tmp_path / "report.json")
    adapter = client.jobs.download(JOB_ID, _artifact("adapter", is_tree=True), tmp_path / "adapter")
    assert report.read_text() == "{}"
    assert (adapter / "adapter_config.json").read_text() == "ok"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "report.json"]


def test_an_archive_that_reaches_outside_leaves_nothing(server: FakeServer, client: Client, tmp_path: Path) -> None:
    server.answers["GET", f"/api/jobs/{JOB_ID}/artifacts/adapter"] = _tar("../evil")
    with pytest.raises(ClientError, match="cannot be unpacked"):
        client.jobs.download(JOB_ID, _artifact("adapter", is_tree=True), tmp_path / "sub" / "adapter")
    assert list((tmp_path / "sub").iterdir()) == []


def test_wait_outlives_a_server_that_is_away_for_a_moment(server: FakeServer, client: Client) -> None:
    away = 503, problem("starting", "not yet")
    server.answers["GET", f"/api/jobs/{JOB_ID}"] = in_turn(job_view("running"), away, job_view("succeeded"))
    assert client.wait(JOB_ID, within_s=10).status == "succeeded"


def test_wait_gives_up_in_time(server: FakeServer, client: Client) -> None:
    server.answers["GET", f"/api/jobs/{JOB_ID}"] = job_view("running")
    with pytest.raises(TimeoutError, match="has not ended"):
        client.wait(JOB_ID, within_s=0.1)
