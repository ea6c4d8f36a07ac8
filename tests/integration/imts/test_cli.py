"""The command line as a process: what it prints, where, and its exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.imts.fake_server import (
    JOB_ID,
    NOW,
    STREAM_END,
    FakeServer,
    closed_url,
    event,
    in_turn,
    job_view,
    open_stream,
    problem,
    sse,
)


def imts(url: str, *words: str, key: str = "imts-key", home: Path | None = None) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("IMTS_", "XDG_"))}
    environ |= {"IMTS_URL": url, "IMTS_API_KEY": key, "IMTS_STREAM_URL": url, "HOME": str(home or "/nonexistent")}
    return subprocess.run(
        [sys.executable, "-m", "imts", *words], env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def serve_events(server: FakeServer, last: str) -> None:
    log = [
        event(1, "phase_changed", **{"from": "starting", "to": "running", "why": "it began"}),
        event(2, "metrics_update", step=10, total_steps=10, train_loss=0.25, advanced_metrics={"gradient_norm": 1.5}),
        event(3, "phase_changed", **{"from": "running", "to": last, "why": "it ended"}),
    ]
    server.answers["GET", "/api/stream/metrics"] = lambda _, handler: open_stream(handler, sse(*log), STREAM_END)
    server.answers["GET", f"/api/jobs/{JOB_ID}"] = job_view("running")


def test_train_prints_only_json_on_stdout(server: FakeServer, tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("model_name: tiny\nlearningRate: 1e-4\nepochs: 3\n")
    server.answers["POST", "/api/training/jobs"] = 202, job_view()
    done = imts(server.url, "train", "-f", str(file), "dataset=123", "learning_rate=5e-4", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["jobId"] == JOB_ID
    sent = json.loads(server.asked[0].body)
    assert sent == {"modelName": "tiny", "learningRate": 5e-4, "epochs": 3, "dataset": "123"}


@pytest.mark.parametrize(("last", "code"), [("succeeded", 0), ("failed", 1), ("stopped", 1)])
def test_watch_tells_by_its_exit_code_how_the_job_ended(server: FakeServer, last: str, code: int) -> None:
    serve_events(server, last)
    done = imts(server.url, "watch", JOB_ID)
    assert (done.returncode, done.stderr) == (code, "")
    assert "10/10 steps, training loss 0.25, gradient norm 1.5" in done.stdout
    assert f"{last}: it ended" in done.stdout


def test_watch_as_json_is_one_event_a_line(server: FakeServer) -> None:
    serve_events(server, "succeeded")
    done = imts(server.url, "watch", JOB_ID, "--json")
    assert [json.loads(line)["seq"] for line in done.stdout.splitlines()] == [1, 2, 3]


def test_a_projects_jobs_are_watched_on_one_line_each_move(server: FakeServer) -> None:
    news = sse(
        event(1, "run_started", job_id="run-1", name="vision"),
        event(2, "phase_changed", **{"job_id": "job-2", "from": "queued", "to": "failed", "why": "no such column"}),
        event(3, "run_finished", job_id="run-1", status="succeeded", why=""),
    )
    server.answers["GET", "/v1/topics/project%3Ashapes/stream"] = lambda _, handler: open_stream(
        handler, news, STREAM_END
    )
    done = imts(server.url, "watch", "--project", "shapes")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["run-1 started: vision", "job-2 failed: no such column", "run-1 succeeded"]
    as_json = imts(server.url, "watch", "--project", "shapes", "--json")
    assert [json.loads(line)["seq"] for line in as_json.stdout.splitlines()] == [1, 2, 3]


def test_watch_wants_a_job_or_a_project(server: FakeServer) -> None:
    for words in ([], [JOB_ID, "--project", "shapes"]):
        refused = imts(server.url, "watch", *words)
        assert refused.returncode == 2
        assert "--project" in refused.stderr


def test_train_and_watch_in_one(server: FakeServer) -> None:
    serve_events(server, "succeeded")
    server.answers["POST", "/api/training/jobs"] = 202, job_view()
    assert imts(server.url, "train", "modelName=tiny", "dataset=sums", "--watch").returncode == 0


def test_jobs_are_listed_with_whole_ids_in_a_pipe(server: FakeServer) -> None:
    silent = {**job_view("running"), "unreachableSince": NOW}
    server.answers["GET", "/api/training/jobs"] = {"data": [silent], "hasMore": False}
    done = imts(server.url, "jobs", "--kind", "training", "--status", "running")
    assert server.asked[0].query == {"status": "running", "limit": "20"}
    assert JOB_ID in done.stdout
    assert "worker silent since" in done.stdout


@pytest.mark.parametrize("verb", ["stop", "pause", "resume", "retry"])
def test_a_verb_answers_the_job(server: FakeServer, verb: str) -> None:
    server.answers["POST", f"/api/jobs/{JOB_ID}/{verb}"] = 202, job_view("stopping")
    assert json.loads(imts(server.url, verb, JOB_ID, "--json").stdout)["status"] == "stopping"


def test_a_running_training_is_told_what_to_do(server: FakeServer) -> None:
    told = {"jobId": JOB_ID, "status": "running", "action": "set_learning_rate", "commandId": "cmd-1", "attempt": 1}
    server.answers["POST", f"/api/training/jobs/{JOB_ID}/control"] = 202, told
    done = imts(server.url, "control", JOB_ID, "set_learning_rate", "learning_rate=1e-5")
    assert "cmd-1" in done.stdout
    assert json.loads(server.asked[-1].body) == {"action": "set_learning_rate", "learningRate": 1e-5}
    assert json.loads(imts(server.url, "control", JOB_ID, "checkpoint", "--json").stdout)["commandId"] == "cmd-1"


def test_a_clone_takes_fields_typed_as_a_submission_does(server: FakeServer) -> None:
    server.answers["GET", f"/api/jobs/{JOB_ID}"] = job_view("running")
    server.answers["POST", f"/api/jobs/{JOB_ID}/clone"] = 202, job_view()
    assert imts(server.url, "clone", JOB_ID, "learning_rate=1e-4", "dataset=7").returncode == 0
    assert imts(server.url, "clone", JOB_ID).returncode == 0
    sent = [json.loads(asked.body) for asked in server.asked if asked.method == "POST"]
    assert sent == [{"learningRate": 1e-4, "dataset": "7"}, {}]


FAILURE = {
    "class": "user", "reason": "out_of_memory_gpu", "message": "the job needs more memory than the GPU has",
    "retryable": False,
    "evidence": [
        {"source": "exit", "text": "ended with code 1", "figures": {"code": 1}, "at": NOW, "offset": None},
        {"source": "log", "text": "CUDA out of memory.", "figures": {}, "at": None, "offset": 812},
    ],
    "suggestion": {"advice": "halve batchSize", "patch": {"batchSize": 2, "gradientAccumulationSteps": 2}},
}  # fmt: skip


def serve_failure(server: FakeServer, *failures: dict[str, Any] | None) -> None:
    """A job whose last attempt's failure is the job's own."""
    server.answers["GET", f"/api/jobs/{JOB_ID}"] = {
        **job_view("failed"), "spec": {"batchSize": 4}, "failure": failures[-1],
    }  # fmt: skip
    tries = [
        {
            "attemptId": f"{JOB_ID}.{number}", "number": number, "cause": "first", "outcome": "failed",
            "failure": failure, "createdAt": NOW, "endedAt": NOW,
        }
        for number, failure in enumerate(failures, 1)
    ]  # fmt: skip
    server.answers["GET", f"/api/jobs/{JOB_ID}/attempts"] = {"data": tries}


def test_why_explains_a_failure_and_how_to_retry(server: FakeServer) -> None:
    serve_failure(server, {**FAILURE, "reason": "earlier"}, FAILURE)
    done = imts(server.url, "why", JOB_ID)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[2:] == [
        "attempt 2: out_of_memory_gpu (class user)",
        "  the job needs more memory than the GPU has",
        "  exit         ended with code 1",
        "  log@812      CUDA out of memory.",
        "  what to do   halve batchSize",
        "  change       batchSize 4 → 2, gradientAccumulationSteps 2",
        f"               imts retry {JOB_ID} --suggested",
    ]
    assert json.loads(imts(server.url, "why", JOB_ID, "--json").stdout)["data"][0]["failure"]["reason"] == "earlier"


def test_why_shows_attempts_that_were_made_up_for(server: FakeServer) -> None:
    serve_failure(server, FAILURE, None)
    told = imts(server.url, "why", JOB_ID).stdout
    assert "attempt 1: out_of_memory_gpu" in told
    assert "the job:" not in told


def test_a_retry_as_suggested_asks_for_it(server: FakeServer) -> None:
    server.answers["POST", f"/api/jobs/{JOB_ID}/retry"] = 202, job_view()
    assert imts(server.url, "retry", JOB_ID, "--suggested").returncode == 0
    assert server.asked[0].query == {"suggested": "true"}


def test_a_job_is_deleted_when_its_owner_says_yes(server: FakeServer) -> None:
    server.answers["GET", f"/api/jobs/{JOB_ID}"] = job_view("stopped")
    server.answers["DELETE", f"/api/jobs/{JOB_ID}"] = 204, b""
    assert imts(server.url, "delete", JOB_ID).returncode != 0
    assert [asked.method for asked in server.asked] == ["GET"]
    done = imts(server.url, "delete", JOB_ID, "--yes")
    assert (done.returncode, done.stdout) == (0, f"{JOB_ID} is deleted\n")
    assert [asked.method for asked in server.asked] == ["GET", "GET", "DELETE"]


def test_a_job_that_must_stay_says_why(server: FakeServer) -> None:
    server.answers["GET", f"/api/jobs/{JOB_ID}"] = job_view("running")
    server.answers["DELETE", f"/api/jobs/{JOB_ID}"] = 409, problem("job_running", "stop it first")
    refused = imts(server.url, "delete", JOB_ID, "-y")
    assert refused.returncode == 2
    assert "stop it first" in refused.stderr


def test_logs_are_followed_through_a_second_attempt_to_the_end(server: FakeServer) -> None:
    def page(attempt: int, offset: int, text: str, *, is_complete: bool) -> dict[str, object]:
        end = offset + len(text)
        return {"attempt": attempt, "offset": offset, "nextOffset": end, "text": text, "isComplete": is_complete}

    server.answers["GET", f"/api/jobs/{JOB_ID}"] = in_turn(job_view("running"), job_view("succeeded", attempt=2))
    server.answers["GET", f"/api/jobs/{JOB_ID}/logs"] = in_turn(
        page(1, 0, "one\n", is_complete=False),
        page(1, 4, "two\n", is_complete=True),
        page(1, 8, "", is_complete=True),
        page(2, 0, "three\n", is_complete=True),
        page(2, 6, "", is_complete=True),
    )
    done = imts(server.url, "logs", JOB_ID, "-f")
    assert (done.returncode, done.stdout) == (0, "one\ntwo\nthree\n")


def test_what_stands_in_brackets_is_shown_in_a_table(server: FakeServer) -> None:
    job = job_view("failed") | {"why": "install imts[llamacpp] or choose [red]"}
    server.answers["GET", "/api/jobs"] = {"data": [job], "hasMore": False}
    assert "install imts[llamacpp] or choose [red]" in imts(server.url, "jobs").stdout


def test_logs_are_searched_to_their_end(server: FakeServer) -> None:
    def lines(offset: int, *texts: str, is_complete: bool) -> dict[str, object]:
        data = [{"offset": 7, "level": "warning", "text": text} for text in texts]
        return {"attempt": 2, "data": data, "nextOffset": offset, "isComplete": is_complete}

    server.answers["GET", f"/api/jobs/{JOB_ID}/logs/lines"] = in_turn(
        lines(4096, "too few steps", is_complete=False), lines(9000, is_complete=True)
    )
    done = imts(server.url, "logs", JOB_ID, "--search", "steps", "--level", "warning")
    assert done.stdout == "warning          7 too few steps\n"
    assert server.asked[0].query == {"search": "steps", "level": "warning", "offset": "0"}
    assert server.asked[1].query == {"search": "steps", "level": "warning", "offset": "4096", "attempt": "2"}
    assert imts(server.url, "logs", JOB_ID, "-f", "--level", "error").returncode == 2


def test_make_tiny_waits_and_prints_the_model(server: FakeServer) -> None:
    model = {
        "modelId": "m-1", "name": "tiny", "version": 1, "base": "0" * 64, "template": "imts", "createdAt": NOW,
        "parameters": 140_000,
    }  # fmt: skip
    server.answers["POST", "/api/models/tiny"] = 202, job_view(kind="export")
    server.answers["GET", f"/api/jobs/{JOB_ID}"] = in_turn(job_view("running"), job_view("succeeded", kind="export"))
    server.answers["GET", "/api/models/tiny"] = model
    done = imts(server.url, "models", "make-tiny", "tiny", "--from", "sums", "--seed", "3")
    assert done.stdout == "tiny@1, 140,000 parameters, template imts, m-1\n"
    assert json.loads(server.asked[0].body) == {"name": "tiny", "from_dataset": "sums", "seed": 3}


def test_an_export_is_asked_for_by_its_operation(server: FakeServer) -> None:
    server.answers["POST", "/api/export/jobs"] = 202, job_view(kind="export")
    done = imts(server.url, "export", "gguf", "modelName=tuned", "quantization=q4_k_m")
    assert done.stdout == f"{JOB_ID} queued; follow it with: imts watch {JOB_ID}\n"
    body = json.loads(server.asked[0].body)
    assert body == {"operation": "gguf", "modelName": "tuned", "quantization": "q4_k_m"}
    assert imts(server.url, "export", "melt", "modelName=tuned").returncode == 2


def test_artifacts_are_listed_and_a_missing_one_is_named(server: FakeServer) -> None:
    report = {"name": "report.json", "sha256": "0" * 64, "size": 2}
    server.answers["GET", f"/api/jobs/{JOB_ID}/artifacts"] = {"data": [report]}
    assert json.loads(imts(server.url, "artifacts", JOB_ID, "--json").stdout)["data"][0]["name"] == "report.json"
    missing = imts(server.url, "artifacts", JOB_ID, "--get", "adapter")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "it has report.json" in missing.stderr


def test_a_refusal_is_a_usage_error_that_names_the_field(server: FakeServer) -> None:
    server.answers["POST", "/api/training/jobs"] = 422, problem("out_of_range", "epochs must be > 0", "epochs")
    done = imts(server.url, "train", "epochs=0", "--json")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "imts: epochs must be > 0 (epochs)\n")


@pytest.mark.parametrize("words", [["train"], ["train", "epochs"], ["train", "-f", "/nonexistent"], ["nonsense"]])
def test_wrong_usage_is_exit_code_2(words: list[str]) -> None:
    done = imts(closed_url(), *words)
    assert (done.returncode, done.stdout) == (2, "")


def test_a_server_that_does_not_answer_is_exit_code_3() -> None:
    done = imts(closed_url(), "jobs")
    assert (done.returncode, done.stdout) == (3, "")
    assert "connection refused" in done.stderr


def test_no_key_anywhere_is_said(tmp_path: Path) -> None:
    done = imts("", "jobs", key="", home=tmp_path)
    assert done.returncode == 2
    assert "set IMTS_API_KEY" in done.stderr
