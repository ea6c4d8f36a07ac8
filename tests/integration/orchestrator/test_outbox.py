"""Events reach the log once, in order, the terminal one last."""

import asyncio

from shared.contracts.events import AppendRequest, NewEvent
from shared.contracts.work import Outcome
from tests.fakes.worker import MADE_MODEL
from tests.integration.orchestrator.mesh import Mesh
from tests.waiting import eventually


async def _report(mesh: Mesh, job_id: str, first_seq: int, count: int) -> None:
    now = mesh.wiring.clock.now()
    events = [NewEvent(event_type="metrics_update", timestamp=now, data={"step": n}) for n in range(count)]
    request = AppendRequest(producer=f"{job_id}.1", first_seq=first_seq, events=events)
    await mesh.stream.append(f"job:{job_id}", request)


def test_the_terminal_event_waits_for_the_attempts_last_events(mesh: Mesh) -> None:
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    mesh.worker.end(f"{job_id}.1", Outcome.SUCCEEDED, result=MADE_MODEL, last_seq=3)
    waits = eventually(lambda: mesh.job(job_id), lambda job: "last events" in job["why"] or job["status"] != "running")
    assert waits["status"] == "running"
    asyncio.run(_report(mesh, job_id, 1, 3))
    mesh.until(job_id, "succeeded")
    eventually(lambda: mesh.stream.phases(job_id), lambda told: told[-1:] == ["succeeded"])
    log = mesh.stream.events_of[f"job:{job_id}"]
    assert log[-1].data["to"] == "succeeded"
    assert [event.event_type for event in log].count("metrics_update") == 3


def test_a_job_ends_without_its_last_events_but_the_log_does_not(mesh: Mesh) -> None:
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    mesh.worker.end(f"{job_id}.1", Outcome.SUCCEEDED, result=MADE_MODEL, last_seq=2)
    mesh.until(job_id, "succeeded")
    other = mesh.submit()
    mesh.until(other, "running")
    eventually(lambda: mesh.stream.phases(other), lambda told: "running" in told)
    assert "succeeded" not in mesh.stream.phases(job_id)
    asyncio.run(_report(mesh, job_id, 1, 2))
    eventually(lambda: mesh.stream.phases(job_id), lambda told: told[-1:] == ["succeeded"])


def test_events_outlive_a_stream_that_is_away(mesh: Mesh) -> None:
    mesh.stream.is_silent = True
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    mesh.worker.end(f"{job_id}.1", Outcome.SUCCEEDED, result=MADE_MODEL)
    mesh.until(job_id, "succeeded")
    mesh.stream.is_silent = False
    told = eventually(lambda: mesh.stream.phases(job_id), lambda told: len(told) == 4)
    assert told == ["queued", "starting", "running", "succeeded"]


def test_an_answer_lost_on_the_way_doubles_no_event(mesh: Mesh) -> None:
    mesh.stream.loses_answers = True
    job_id = mesh.submit()
    eventually(lambda: mesh.stream.appends > 1)
    mesh.stream.loses_answers = False
    mesh.until(job_id, "running")
    told = eventually(lambda: mesh.stream.phases(job_id), lambda told: len(told) >= 3)
    assert told == ["queued", "starting", "running"]


def test_a_log_that_lost_its_memory_is_told_again(mesh: Mesh) -> None:
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    eventually(lambda: mesh.stream.phases(job_id), lambda told: len(told) == 3)
    mesh.stream.events_of.clear()
    mesh.stream.marks.clear()
    mesh.ask(job_id, "stop")
    mesh.until(job_id, "stopped")
    told = eventually(lambda: mesh.stream.phases(job_id), lambda told: len(told) == 5)
    assert told == mesh.history(job_id)
