"""Engines that really fail, and what is told of each: the reason, the facts it rests on, what to do."""

import re

from shared.contracts.failures import Reason
from shared.contracts.work import ExitReport, Failure
from tests.fakes.misdeeds import DEEDS
from tests.fakes.stream_peer import StreamPeer
from tests.integration.worker.conftest import WorkerFactory, WorkerProcess, attempt_spec
from tests.waiting import eventually


def _report(worker: WorkerProcess, attempt_id: str) -> ExitReport:
    answer = eventually(lambda: worker.http.get(f"/jobs/{attempt_id}/result"), lambda a: a.status_code == 200, 60)
    return ExitReport.model_validate_json(answer.content)


def test_every_real_end_is_told_by_its_reason(start_worker: WorkerFactory) -> None:
    worker = start_worker(slots=len(DEEDS) + 1)
    asked = {deed: attempt_spec(events=10, at=2, do=deed) for deed in (*DEEDS, "user_fault")}
    for spec in asked.values():
        assert worker.put(spec).status_code == 201
    told = {deed: _report(worker, spec.attempt_id).failure for deed, spec in asked.items()}
    reasons = {deed: failure.reason if failure else None for deed, failure in told.items()}
    assert reasons == {deed: deed.partition("-")[0] for deed in DEEDS} | {"user_fault": "no_trainable_rows"}
    for failure in filter(None, told.values()):
        (reason,) = (known for known in Reason if known == failure.reason)
        assert (failure.failure_class, failure.retryable) == (reason.failure_class, reason.retryable)
        assert failure.evidence[0].source == "exit"
        assert {"step": 2, "total_steps": 10, "train_loss": 0.5} in [item.figures for item in failure.evidence]
        assert str(worker.data_dir) not in failure.model_dump_json()


def test_a_log_line_in_evidence_is_found_where_it_says(start_worker: WorkerFactory) -> None:
    worker = start_worker()
    spec = attempt_spec(events=10, at=2, do="disk_full-limit")
    worker.put(spec)
    failure = _report(worker, spec.attempt_id).failure
    assert failure is not None
    (line,) = (item for item in failure.evidence if item.source == "log")
    page = worker.http.get(f"/jobs/{spec.attempt_id}/log", params={"offset": line.offset, "limit": 30}).json()
    assert re.match(r"OSError: \[Errno 27\]", line.text)
    assert line.text.startswith(page["text"])


def test_the_event_of_the_end_carries_the_failure(start_worker: WorkerFactory, peer: StreamPeer) -> None:
    worker = start_worker()
    spec = attempt_spec(events=10, at=2, do="out_of_memory_host", batchSize=8, gradientAccumulationSteps=2)
    worker.put(spec)
    eventually(worker.folder(spec).reported.exists)
    told = Failure.model_validate(peer.events[spec.attempt_id][-1].data["failure"])
    assert told == _report(worker, spec.attempt_id).failure
    assert told.suggestion is not None
    assert told.suggestion.patch == {"batchSize": 4, "gradientAccumulationSteps": 4}


def test_a_stopped_attempt_says_who_stopped_it(start_worker: WorkerFactory, peer: StreamPeer) -> None:
    worker = start_worker()
    spec = attempt_spec(events=5000, on_sigterm="checkpoint")
    worker.put(spec)
    eventually(lambda: peer.steps(spec.attempt_id))
    worker.http.post(f"/jobs/{spec.attempt_id}/stop")
    failure = _report(worker, spec.attempt_id).failure
    assert failure is not None
    assert failure.reason == "stopped_by_user"
