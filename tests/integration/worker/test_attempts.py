"""An attempt from PUT to its last event, on a real service with real processes."""

from concurrent.futures import ThreadPoolExecutor

import psutil

from shared.contracts.work import AttemptState, Capacity, ExitReport, Outcome
from shared.kit.ids import new_id
from tests.fakes.stream_peer import StreamPeer
from tests.integration.worker.conftest import WorkerFactory, attempt_spec, is_running, read
from tests.waiting import eventually


def test_an_attempt_runs_once_and_the_log_gets_every_event(start_worker: WorkerFactory, peer: StreamPeer) -> None:
    worker = start_worker()
    spec = attempt_spec(events=20)
    answer = worker.put(spec)
    assert answer.status_code == 201, answer.text
    assert worker.put(spec).status_code == 200

    view = eventually(lambda: worker.view(spec), lambda v: v.state is AttemptState.ENDED)
    assert view.exit is not None
    assert view.exit.outcome is Outcome.SUCCEEDED
    assert view.exit.result == {"steps": 20}
    assert view.exit.last_seq == 22
    assert view.exit.peak_memory_bytes is not None
    assert view.exit.peak_memory_bytes > 10_000_000
    assert (view.progress.step, view.progress.total_steps, view.progress.fraction) == (20, 20, 1.0)
    eventually(worker.folder(spec).reported.exists)
    assert [event.event_type for event in peer.events[spec.attempt_id]][-1] == "attempt_ended"
    assert peer.steps(spec.attempt_id) == list(range(1, 21))
    assert {event.attempt for event in peer.events[spec.attempt_id]} == {1}
    eventually(lambda: peer.hints, lambda hints: hints.count(spec.job_id) >= 3)
    assert worker.put(spec).status_code == 200
    assert len((worker.folder(spec).work / "runs").read_text().splitlines()) == 1


def test_the_same_put_fifty_times_at_once_is_one_run(start_worker: WorkerFactory) -> None:
    worker = start_worker()
    spec = attempt_spec(events=5)
    with ThreadPoolExecutor(16) as callers:
        codes = list(callers.map(lambda _: worker.put(spec).status_code, range(50)))
    assert sorted(codes) == [200] * 49 + [201]
    eventually(worker.folder(spec).exit.exists)
    assert len((worker.folder(spec).work / "runs").read_text().splitlines()) == 1


def test_titles_name_the_attempt_and_the_environment_holds_no_secret(
    start_worker: WorkerFactory, peer: StreamPeer
) -> None:
    worker = start_worker()
    spec = attempt_spec(events=200)
    worker.put(spec)
    pids = worker.pids(spec)
    eventually(lambda: peer.steps(spec.attempt_id))
    assert psutil.Process(pids["pid"]).cmdline()[0] == f"imts:shepherd:{spec.attempt_id}"
    assert psutil.Process(pids["engine_pid"]).cmdline()[0] == f"imts:engine:{spec.attempt_id}"
    first = peer.events[spec.attempt_id][0].data["environment"]
    assert isinstance(first, list)
    assert {"PATH", "HF_HUB_OFFLINE", "HF_HOME"} <= set(first)
    assert not [name for name in first if "IMTS" in str(name) or "SECRET" in str(name)]


def test_a_worker_refuses_what_it_cannot_run(start_worker: WorkerFactory) -> None:
    worker = start_worker()
    job_id = new_id("job")
    running = attempt_spec(job_id, 2, events=5000)
    worker.put(running)

    def refusal(number: int = 1, job: str = "", **spec: object) -> tuple[int, str]:
        answer = worker.put(attempt_spec(job, number, **spec))
        return answer.status_code, answer.json()["error"]["code"]

    assert refusal(2, job_id, events=6) == (409, "attempt_differs")
    assert refusal(3, job_id, events=5000) == (409, "older_attempt_alive")
    assert refusal(1, job_id, events=5000) == (409, "attempt_superseded")
    assert refusal(events=1) == (429, "no_capacity")
    assert worker.http.get(f"/jobs/{new_id('job')}.1").json()["error"]["code"] == "attempt_not_found"
    assert worker.http.get("/jobs/..%2Fx").status_code in {404, 422}
    assert worker.http.get(f"/jobs/{running.attempt_id}/result").status_code == 409
    assert worker.http.get("/capacity", headers={"authorization": "Bearer nothing"}).status_code in {401, 503}
    capacity = worker.http.get("/capacity").json()
    assert (capacity["slots"], capacity["free"], capacity["spares"], capacity["draining"]) == (1, 0, 0, False)


def test_what_was_refused_for_want_of_room_is_never_run(start_worker: WorkerFactory) -> None:
    worker = start_worker()
    first, late = attempt_spec(events=5000), attempt_spec(events=1)
    worker.put(first)
    assert worker.put(late).status_code == 429
    worker.http.post(f"/jobs/{first.attempt_id}/stop")
    eventually(worker.folder(first).exit.exists)
    assert worker.put(late).json()["error"]["code"] == "no_capacity"
    worker.kill()
    worker.start()
    assert worker.put(late).json()["error"]["code"] == "no_capacity"
    again = attempt_spec(late.job_id, 2, events=1)
    assert worker.put(again).status_code in {200, 201, 202}


def test_an_attempt_that_was_told_to_end_before_it_came_never_starts(start_worker: WorkerFactory) -> None:
    worker = start_worker()
    spec = attempt_spec()
    unknown = worker.http.post(f"/jobs/{spec.attempt_id}/preempt")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "attempt_not_found")
    late = worker.put(spec)
    assert (late.status_code, late.json()["error"]["code"]) == (429, "attempt_unwanted")
    worker.kill()
    worker.start()
    assert worker.put(spec).json()["error"]["code"] == "attempt_unwanted"
    assert worker.http.get(f"/jobs/{spec.attempt_id}").status_code == 404


def test_a_stop_lets_the_engine_leave_a_checkpoint(start_worker: WorkerFactory, peer: StreamPeer) -> None:
    worker = start_worker()
    spec = attempt_spec(events=5000, on_sigterm="checkpoint")
    worker.put(spec)
    eventually(lambda: peer.steps(spec.attempt_id))
    assert worker.http.post(f"/jobs/{spec.attempt_id}/pause").status_code == 202
    assert worker.http.post(f"/jobs/{spec.attempt_id}/pause").status_code == 202
    eventually(worker.folder(spec).exit.exists)
    report = ExitReport.model_validate_json(worker.http.get(f"/jobs/{spec.attempt_id}/result").content)
    assert report.outcome is Outcome.PAUSED
    assert (worker.folder(spec).work / "checkpoint").read_text() == str(report.result["steps"])
    assert worker.http.post(f"/jobs/{spec.attempt_id}/stop").json()["exit"]["outcome"] == "paused"


def test_a_stop_ends_an_engine_that_listens_to_nothing(start_worker: WorkerFactory, peer: StreamPeer) -> None:
    worker = start_worker()
    spec = attempt_spec(events=5000)
    worker.put(spec)
    eventually(lambda: peer.steps(spec.attempt_id))
    worker.http.post(f"/jobs/{spec.attempt_id}/stop")
    report = eventually(lambda: worker.view(spec).exit)
    assert report is not None
    assert (report.outcome, report.signal) == (Outcome.STOPPED, 15)
    assert report.failure is not None
    assert report.failure.reason == "stopped_by_user"


def test_the_deadline_of_a_stop_ends_the_engine_and_all_it_forked(
    start_worker: WorkerFactory, peer: StreamPeer
) -> None:
    worker = start_worker(stop_grace_s=0.5)
    spec = attempt_spec(events=50_000, on_sigterm="ignore", forks=True)
    worker.put(spec)
    eventually(lambda: peer.steps(spec.attempt_id))
    helpers = [int(pid) for pid in (worker.folder(spec).work / "helpers").read_text().strip("[]").split(",")]
    assert all(is_running(pid) for pid in helpers)
    worker.http.post(f"/jobs/{spec.attempt_id}/stop")
    report = eventually(lambda: worker.view(spec).exit)
    assert report is not None
    assert (report.outcome, report.signal) == (Outcome.STOPPED, 9)
    assert not [pid for pid in helpers if is_running(pid)]


def test_output_is_paged_in_whole_characters(start_worker: WorkerFactory) -> None:
    worker = start_worker()
    spec = attempt_spec(events=1)
    worker.put(spec)
    eventually(worker.folder(spec).exit.exists)
    text, offset, is_complete = "", 0, False
    while not is_complete:
        page = worker.http.get(f"/jobs/{spec.attempt_id}/log", params={"offset": offset, "limit": 7}).json()
        text, offset, is_complete = text + page["text"], page["nextOffset"], page["isComplete"]
    assert text == f"attempt {spec.attempt_id} begins 你好\n"


def test_a_spare_is_handed_a_job_with_its_imports_done(start_worker: WorkerFactory, peer: StreamPeer) -> None:
    worker = start_worker(spares=1)

    def capacity() -> Capacity:
        return Capacity.model_validate_json(worker.http.get("/capacity").content)

    eventually(lambda: capacity().spares, within_s=20)
    spec = attempt_spec(events=3)
    worker.put(spec)
    first = eventually(lambda: peer.events[spec.attempt_id])[0].data
    engine = eventually(lambda: read(worker.folder(spec).shepherd)["engine_pid"])
    started_at = worker.folder(spec).spec.stat().st_mtime
    assert float(str(first["imported_at"])) < started_at
    assert float(str(first["began_at"])) - started_at < 0.5
    eventually(worker.folder(spec).exit.exists)
    assert eventually(lambda: capacity().spares, within_s=20) == 1, "the used spare is replaced"
    assert not is_running(engine)


def test_a_job_of_another_engine_gets_that_one_and_leaves_the_spare(start_worker: WorkerFactory) -> None:
    worker = start_worker(spares=1)

    def capacity() -> Capacity:
        return Capacity.model_validate_json(worker.http.get("/capacity").content)

    eventually(lambda: capacity().spares, within_s=20)
    spec = attempt_spec(engine="slow", maxSteps=2)
    worker.put(spec)
    eventually(worker.folder(spec).exit.exists, within_s=20)
    assert "model" in read(worker.folder(spec).outcome)["result"]
    assert capacity().spares == 1


def test_an_engine_starts_with_the_devices_that_were_chosen_for_its_attempt(
    start_worker: WorkerFactory, peer: StreamPeer
) -> None:
    worker = start_worker()
    spec = attempt_spec(events=1)
    folder = worker.folder(spec)
    folder.path.mkdir(parents=True)
    folder.devices.write_text('{"kind": "cuda", "indices": [3], "promised": true}')
    assert worker.put(spec).status_code == 201
    first = eventually(lambda: peer.events[spec.attempt_id])[0].data["environment"]
    assert isinstance(first, list)
    assert {"CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"} <= set(first)
    told = worker.http.get("/capacity").json()["devices"]
    assert [device["kind"] for device in told if device["kind"] == "cpu"] == ["cpu"]
