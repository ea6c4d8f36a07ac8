"""What an attempt left is deleted on its worker's disk: whole or not yet, and never beneath a living one."""

import httpx

from shared.contracts.work import AttemptSpec
from tests.fakes.stream_peer import StreamPeer
from tests.integration.worker.conftest import WorkerFactory, WorkerProcess, attempt_spec, is_running
from tests.waiting import eventually


def remove(worker: WorkerProcess, spec: AttemptSpec) -> httpx.Response:
    return worker.http.delete(f"/jobs/{spec.attempt_id}")


def finished(worker: WorkerProcess) -> AttemptSpec:
    """An attempt that has ended, all of it in the log."""
    attempt = attempt_spec(events=3)
    worker.put(attempt)
    eventually(worker.folder(attempt).reported.exists)
    return attempt


def test_the_last_attempt_takes_the_checkpoints_with_it(start_worker: WorkerFactory) -> None:
    worker = start_worker()
    first = finished(worker)
    second = attempt_spec(first.job_id, 2, events=3)
    worker.put(second)
    eventually(worker.folder(second).reported.exists)
    assert remove(worker, first).json() == {"name": first.attempt_id}
    assert not worker.folder(first).path.exists()
    assert worker.folder(second).work.is_dir()
    assert remove(worker, second).status_code == 200
    assert not worker.folder(second).path.parent.exists()
    assert list((worker.data_dir / "discarded").iterdir()) == []
    assert worker.http.get(f"/jobs/{second.attempt_id}").status_code == 404
    assert [remove(worker, spec).status_code for spec in (first, second)] == [200, 200]


def test_a_living_attempt_is_stopped_and_removed_when_it_has_ended(start_worker: WorkerFactory) -> None:
    worker = start_worker()
    spec = attempt_spec(events=100_000)
    worker.put(spec)
    pids = worker.pids(spec)
    refused = remove(worker, spec)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "attempt_alive")
    eventually(lambda: remove(worker, spec).status_code, lambda status: status == 200, within_s=30)
    eventually(lambda: not any(is_running(pid) for pid in pids.values()))
    assert not worker.folder(spec).path.parent.exists()


def test_what_the_log_has_not_heard_stays_until_it_has(start_worker: WorkerFactory, peer: StreamPeer) -> None:
    worker = start_worker()
    peer.stop()
    spec = attempt_spec(events=3)
    worker.put(spec)
    # The shepherd outlives its report for a moment.
    refused = eventually(
        lambda: remove(worker, spec), lambda answer: answer.json()["error"]["code"] != "attempt_alive", within_s=30
    )
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "attempt_not_reported")
    peer.start()
    eventually(lambda: remove(worker, spec).status_code, lambda status: status == 200, within_s=30)


def test_a_refusal_that_was_written_down_goes_with_its_job(start_worker: WorkerFactory) -> None:
    worker = start_worker(slots=1)
    spec = attempt_spec(events=100_000)
    worker.put(spec)
    late = attempt_spec()
    assert worker.put(late).status_code == 429
    assert worker.folder(late).refused.exists()
    assert remove(worker, late).status_code == 200
    assert not worker.folder(late).path.parent.exists()


def test_what_a_killed_worker_had_discarded_is_deleted_by_its_next_life(start_worker: WorkerFactory) -> None:
    worker = start_worker()
    worker.kill()
    left = worker.data_dir / "discarded" / "half" / "checkpoint-1"
    left.mkdir(parents=True)
    (left / "model.safetensors").write_bytes(b"x")
    worker.start()
    eventually(lambda: list((worker.data_dir / "discarded").iterdir()), lambda found: found == [])


def test_only_a_service_may_ask_for_it(start_worker: WorkerFactory) -> None:
    worker = start_worker()
    spec = finished(worker)
    with httpx.Client(base_url=worker.http.base_url, trust_env=False) as stranger:
        assert stranger.delete(f"/jobs/{spec.attempt_id}").status_code == 401
    assert worker.folder(spec).path.is_dir()
