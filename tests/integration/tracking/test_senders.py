"""Whatever dies, trainer, sender or server: each event reaches the log once and in order, and nobody stays behind."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from imts.tracking import start
from imts.tracking.inbox import inbox_path
from imts.tracking.journal import journals
from imts.tracking.resending import resend
from tests.fakes.key_directory import key_directory
from tests.integration.stream.client import StreamCaller
from tests.integration.tracking.conftest import AWAY, KEY, Environment, environment
from tests.integration.tracking.scripts import LOGS_FOR_EVER, kill_senders, senders, trainer
from tests.live_server import live_server
from tests.ports import free_port
from tests.stream_process import stream_process
from tests.waiting import eventually

_FULL_DISK = """
import logging, resource, sys, time
from pathlib import Path
import imts
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
run = imts.start(name="full", folder=Path(sys.argv[1]))
if sys.argv[2] == "sender":
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
for step in range(2000):
    run.log({"train_loss": 1.0}, step=step)
print(run.run_id)
print(run.finish(within_s=float(sys.argv[3])))
"""
"""The sender inherits the limit on the size of a file; the trainer may lift its own."""


def steps(caller: StreamCaller, run_id: str) -> list[int]:
    return [event["data"]["step"] for event in caller.log(run_id) if event["event_type"] == "metrics_update"]


def sync(folder: Path, environ: Environment) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "imts", "sync"]
    return subprocess.run(
        command, env=environ | {"IMTS_RUNS_DIR": str(folder)}, capture_output=True, text=True, check=False
    )


@pytest.fixture
def keys() -> Iterator[str]:
    with live_server(key_directory(KEY)) as url:
        yield url


def test_a_server_killed_in_the_middle_has_everything_when_it_is_back(
    database_url: str, tmp_path: Path, keys: str
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    run = start(folder=tmp_path / "runs", environ=environment(url))
    for step in range(1000):
        run.log({"train_loss": 1.0}, step=step)
    for life in range(1, 4):
        with stream_process(tmp_path / "stream", database_url, port, IMTS_ORCHESTRATOR_URL=keys):
            with StreamCaller(url, KEY) as caller:
                eventually(
                    lambda caller=caller: len(steps(caller, run.run_id)),  # type: ignore[misc]
                    lambda count, life=life: count >= 1000 * life,  # type: ignore[misc]
                    within_s=20,
                )
            for step in range(1000 * life, 1000 * (life + 1)):
                run.log({"train_loss": 1.0}, step=step)
    with stream_process(tmp_path / "stream", database_url, port, IMTS_ORCHESTRATOR_URL=keys):
        assert run.finish(within_s=20)
        with StreamCaller(url, KEY) as caller:
            assert steps(caller, run.run_id) == list(range(4000))
            assert [event["seq"] for event in caller.log(run.run_id)] == list(range(1, 4003))


def test_a_trainer_killed_while_it_logs_loses_nothing_and_its_sender_ends_the_run(
    person: StreamCaller, environ: Environment, tmp_path: Path
) -> None:
    with trainer(LOGS_FOR_EVER, tmp_path, environ) as process:
        run_id = process.line()
        eventually(lambda: len(steps(person, run_id)) > 100, within_s=20)
        logged = int(process.kill()[-1])
    eventually(lambda: journals(tmp_path), lambda left: left == [])
    arrived = steps(person, run_id)
    assert arrived == list(range(1, len(arrived) + 1))
    assert len(arrived) >= logged
    assert person.log(run_id)[-1]["data"] == {"status": "failed", "why": "its process ended without a word"}
    eventually(lambda: senders(run_id), lambda left: left == [])


def test_sync_sends_what_a_killed_trainer_and_its_killed_sender_left(
    person: StreamCaller, environ: Environment, tmp_path: Path
) -> None:
    with trainer(LOGS_FOR_EVER, tmp_path, environ) as process:
        run_id = process.line()
        eventually(lambda: len(steps(person, run_id)) > 100, within_s=20)
        process.kill()
        assert len(kill_senders(run_id)) == 1
    with inbox_path(journals(tmp_path)[0]).open("ab") as inbox:
        inbox.write(b'{"event_type":"metrics_up')
    before = len(steps(person, run_id))
    done = sync(tmp_path, environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("1 runs sent, ")
    arrived = steps(person, run_id)
    assert len(arrived) >= before
    assert arrived == list(range(1, len(arrived) + 1))
    torn, last = person.log(run_id)[-2:]
    assert torn["event_type"] == "log"
    assert last["data"]["status"] == "failed"
    assert list(tmp_path.glob("run-*")) == []
    assert not inbox_path(tmp_path / f"{run_id}.jsonl").exists()
    assert sync(tmp_path, environ).stdout == "0 runs sent, 0 events\n"


def test_a_killed_sender_is_replaced_while_the_trainer_logs(
    person: StreamCaller, environ: Environment, tmp_path: Path
) -> None:
    with trainer(LOGS_FOR_EVER, tmp_path, environ) as process:
        run_id = process.line()
        eventually(lambda: len(steps(person, run_id)) > 10, within_s=20)
        (killed,) = kill_senders(run_id)
        before = len(steps(person, run_id))
        eventually(lambda: len(steps(person, run_id)) > before + 10, within_s=20)
        (sender,) = senders(run_id)
        assert sender.pid != killed


def test_finish_replaces_a_killed_sender_too(person: StreamCaller, environ: Environment, tmp_path: Path) -> None:
    run = start(folder=tmp_path, environ=environ)
    eventually(lambda: senders(run.run_id))
    kill_senders(run.run_id)
    run.log({"train_loss": 1.0}, step=1)
    assert run.finish(within_s=20)
    assert steps(person, run.run_id) == [1]


def test_nobody_sends_what_another_sends(person: StreamCaller, environ: Environment, tmp_path: Path) -> None:
    run = start(folder=tmp_path, environ=environment(AWAY))
    eventually(lambda: senders(run.run_id))
    eventually(lambda: resend(tmp_path, environ).underway == 1)
    assert sync(tmp_path, environ).stdout.splitlines()[0] == "0 runs sent, 0 events"
    assert person.log(run.run_id) == []
    run.finish(within_s=0)


def test_a_run_that_ends_while_the_server_is_away_is_sent_by_sync(
    person: StreamCaller, environ: Environment, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = start(folder=tmp_path, environ=environment(AWAY))
    run.log({"train_loss": 1.0})
    assert not run.finish(within_s=20)
    assert "not all in the log yet" in caplog.text
    eventually(lambda: senders(run.run_id), lambda left: left == [])
    away = sync(tmp_path, environment(AWAY))
    assert away.returncode == 2
    assert "1 runs still wait: no IMTS server answers" in away.stderr
    assert sync(tmp_path, environ).stdout == "1 runs sent, 3 events\n"
    kinds = [event["event_type"] for event in person.log(run.run_id)]
    assert kinds == ["run_started", "metrics_update", "run_finished"]


def test_the_next_run_sends_what_an_earlier_one_left(
    person: StreamCaller, environ: Environment, tmp_path: Path
) -> None:
    first = start(folder=tmp_path, environ=environment(AWAY))
    assert not first.finish(within_s=20)
    with start(folder=tmp_path, environ=environ) as second:
        eventually(
            lambda: person.log(first.run_id)[-1:], lambda log: bool(log) and log[0]["event_type"] == "run_finished"
        )
    assert person.log(second.run_id)[-1]["data"]["status"] == "succeeded"
    eventually(lambda: list(tmp_path.glob("run-*")), lambda left: left == [])


def test_a_sender_in_the_background_gives_its_run_in_when_the_server_comes_back(tmp_path: Path, keys: str) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    run = start(folder=tmp_path / "runs", environ=environment(url) | {"IMTS_SENDER_PATIENCE_S": "60"})
    assert not run.finish(within_s=0)
    with (
        stream_process(tmp_path / "stream", "", port, IMTS_ORCHESTRATOR_URL=keys),
        StreamCaller(url, KEY) as caller,
    ):
        eventually(lambda: caller.log(run.run_id), lambda log: len(log) == 2)
    eventually(lambda: senders(run.run_id), lambda left: left == [])


def test_a_wrong_key_is_named_in_the_trainers_log(
    person: StreamCaller, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = start(folder=tmp_path, environ=environment(person.url, key="imts-a-key-that-nobody-knows"))
    assert not run.finish(within_s=20)
    assert f"events of {run.run_id} wait on this machine: " in caplog.text


def run_on_a_full_disk(who: str, within_s: float, folder: Path, environ: Environment) -> tuple[str, str, str]:
    command = [sys.executable, "-c", _FULL_DISK, str(folder), who, str(within_s)]
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, check=True, timeout=90)
    run_id, has_sent_all = ended.stdout.split()
    return run_id, has_sent_all, ended.stderr


def test_a_full_disk_says_so_once_and_what_is_in_memory_follows(
    person: StreamCaller, environ: Environment, tmp_path: Path
) -> None:
    run_id, has_sent_all, said = run_on_a_full_disk("sender", 20, tmp_path, environ)
    assert has_sent_all == "False"
    assert said.count("File too large") == 1
    assert sync(tmp_path, environ).stdout.startswith("1 runs sent, ")
    assert steps(person, run_id) == list(range(2000))
    assert person.log(run_id)[-1]["data"]["status"] == "succeeded"


def test_full_memory_says_so_once_and_lets_the_training_end(
    person: StreamCaller, environ: Environment, tmp_path: Path
) -> None:
    run_id, has_sent_all, said = run_on_a_full_disk("both", 20, tmp_path, environ)
    assert said.count("are lost") == 1
    assert has_sent_all == "False"
    assert sync(tmp_path, environ).returncode == 0
    arrived = steps(person, run_id)
    assert arrived == list(range(len(arrived)))
    assert 50 < len(arrived) < 2000
    assert person.log(run_id)[-1]["data"]["status"] == "failed", "there was no room for its last word"
