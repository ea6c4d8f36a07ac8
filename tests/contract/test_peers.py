"""The orchestrator's peers, real and fake, answer the same questions alike."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from orchestrator.clients.stream import HttpStream
from orchestrator.clients.worker import HttpWorker
from orchestrator.domain.peers import StreamPeer, WorkerPeer
from services.stream.app import create_app as create_stream
from services.stream.settings import StreamSettings
from shared.contracts.commands import Action, Command
from shared.contracts.events import AppendRequest, NewEvent
from shared.contracts.work import AttemptSpec, AttemptState, Control, JobKind, Outcome
from shared.kit.auth import ServiceTokens
from shared.kit.errors import Conflict, ImtsError, NotFound, PeerUnavailable, ProducerSealed, RateLimited, SequenceGap
from shared.kit.ids import new_id
from shared.kit.peer import PeerClient
from tests.conftest import SERVICE_SECRET
from tests.fakes.stream import FakeStream
from tests.fakes.worker import FakeWorker
from tests.live_server import live_server
from tests.waiting import eventually

Ask = Callable[[Callable[[Any], Awaitable[Any]]], Any]
TOKENS = ServiceTokens("orchestrator", SERVICE_SECRET)
LONG = {"events": 100_000, "wait_s": 0.01}


def _over_http(peer: str, url: str, door: Callable[[PeerClient], object]) -> Ask:
    """Each question on a client of its own, because each has its own event loop."""

    def ask(question: Callable[[Any], Awaitable[Any]]) -> Any:
        async def once() -> Any:
            client = PeerClient(peer, url, TOKENS)
            try:
                return await question(door(client))
            finally:
                await client.close()

        return asyncio.run(once())

    return ask


def _in_memory(peer: object) -> Ask:
    def ask(question: Callable[[Any], Awaitable[Any]]) -> Any:
        async def once() -> Any:
            return await question(peer)

        return asyncio.run(once())

    return ask


@pytest.fixture(params=["real", "fake"])
def worker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ask]:
    """A worker with one slot."""
    if request.param == "fake":
        yield _in_memory(FakeWorker("worker"))
        return
    with _worker_process(tmp_path) as url:
        yield _over_http("worker", url, lambda client: HttpWorker("worker", client))


@contextmanager
def _worker_process(folder: Path) -> Iterator[str]:
    """The real service; a process of its own, because it listens for signals."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"], "IMTS_SERVICE_SECRET": SERVICE_SECRET, "WORKER_PORT": str(port),
        "WORKER_DATA_DIR": str(folder / "worker"), "IMTS_STREAM_URL": "http://127.0.0.1:1",
        "IMTS_ORCHESTRATOR_URL": "http://127.0.0.1:1",
    }  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    ask = _over_http("worker", url, lambda client: HttpWorker("worker", client))
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.worker_service"], env=environment, stdout=log, stderr=log
        )
    try:
        eventually(lambda: ask(lambda peer: peer.state()).is_ready, within_s=30)
        yield url
    finally:
        process.terminate()
        process.wait(15)


@pytest.fixture(params=["real", "fake"])
def stream(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ask]:
    """An empty log."""
    if request.param == "fake":
        yield _in_memory(FakeStream())
        return
    settings = StreamSettings.model_validate({"service_secret": SERVICE_SECRET, "data_dir": tmp_path / "stream"})
    with live_server(create_stream(settings)) as url:
        yield _over_http("stream", url, HttpStream)


def a_spec(number: int = 1, job_id: str = "", **spec: Any) -> AttemptSpec:
    """An attempt for the tiny engine."""
    job_id = job_id or new_id("job")
    return AttemptSpec(
        attempt_id=f"{job_id}.{number}", job_id=job_id, number=number, kind=JobKind.TRAINING, spec={**LONG, **spec}
    )


def _stop(ask: Ask, spec: AttemptSpec) -> None:
    async def stop(peer: WorkerPeer) -> None:
        await peer.control(spec.attempt_id, Control.STOP)

    ask(stop)
    eventually(lambda: ask(lambda peer: peer.look(spec.attempt_id)), lambda view: view.exit is not None, within_s=20)


def test_an_attempt_starts_once_runs_and_stops(worker: Ask) -> None:
    spec = a_spec()
    assert worker(lambda peer: peer.start(spec)).attempt_id == spec.attempt_id
    worker(lambda peer: peer.start(spec))
    runs = eventually(
        lambda: worker(lambda peer: peer.look(spec.attempt_id)), lambda view: view.state is AttemptState.RUNNING
    )
    assert runs.exit is None
    assert worker(lambda peer: peer.capacity()).free == 0
    _stop(worker, spec)
    ended = worker(lambda peer: peer.look(spec.attempt_id))
    assert (ended.state, ended.exit.outcome) == (AttemptState.ENDED, Outcome.STOPPED)
    assert worker(lambda peer: peer.capacity()).free == 1


def test_an_unknown_attempt_is_not_found_by_its_code(worker: Ask) -> None:
    with pytest.raises(NotFound) as refusal:
        worker(lambda peer: peer.look(a_spec().attempt_id))
    assert refusal.value.code == "attempt_not_found"


@pytest.mark.parametrize(
    ("second", "kind", "code"),
    [
        (lambda first: a_spec(job_id=first.job_id, seed=2), Conflict, "attempt_differs"),
        (lambda first: a_spec(2, first.job_id), Conflict, "older_attempt_alive"),
        (lambda first: a_spec(), RateLimited, "no_capacity"),
    ],
    ids=["another body", "an older attempt alive", "no slot"],
)
def test_a_refused_start_says_why(
    worker: Ask, second: Callable[[AttemptSpec], AttemptSpec], kind: type[ImtsError], code: str
) -> None:
    first = a_spec()
    worker(lambda peer: peer.start(first))
    with pytest.raises(kind) as refusal:
        worker(lambda peer: peer.start(second(first)))
    assert refusal.value.code == code
    _stop(worker, first)


def test_a_living_attempt_takes_commands_and_an_ended_one_none(worker: Ask) -> None:
    spec = a_spec()
    command = Command(command_id=new_id("cmd"), action=Action.SET_LEARNING_RATE, value=0.1)
    worker(lambda peer: peer.start(spec))
    for _ in range(2):
        assert worker(lambda peer: peer.command(spec.attempt_id, command)).attempt_id == spec.attempt_id
    _stop(worker, spec)
    with pytest.raises(Conflict) as refusal:
        worker(lambda peer: peer.command(spec.attempt_id, command))
    assert refusal.value.code == "attempt_ending"
    with pytest.raises(NotFound):
        worker(lambda peer: peer.command(a_spec().attempt_id, command))


def test_a_log_is_read_from_an_offset(worker: Ask) -> None:
    spec = a_spec()
    worker(lambda peer: peer.start(spec))
    page = eventually(lambda: worker(lambda peer: peer.log(spec.attempt_id, 0, 1000)), lambda page: page.text != "")
    rest = worker(lambda peer: peer.log(spec.attempt_id, page.next_offset, 1000))
    assert rest.offset == page.next_offset
    _stop(worker, spec)


def test_a_ready_peer_says_so(worker: Ask, stream: Ask) -> None:
    assert worker(lambda peer: peer.state()).is_ready
    assert stream(lambda peer: peer.state()).is_ready


def test_an_absent_peer_is_silent_and_not_ready() -> None:
    ask = _over_http("training", "http://127.0.0.1:1", lambda client: HttpWorker("training", client))
    assert not ask(lambda peer: peer.state()).is_ready
    with pytest.raises(PeerUnavailable):
        ask(lambda peer: peer.capacity())


def some_events(first_seq: int, count: int, producer: str = "orchestrator") -> AppendRequest:
    """A run of events."""
    events = [NewEvent(event_type="phase_changed", timestamp=datetime.now(UTC), data={"n": n}) for n in range(count)]
    return AppendRequest(producer=producer, first_seq=first_seq, events=events)


def test_a_log_drops_repeats_and_refuses_holes(stream: Ask) -> None:
    topic = f"job:{new_id('job')}"

    async def append_twice(peer: StreamPeer) -> int:
        await peer.append(topic, some_events(1, 2))
        return (await peer.append(topic, some_events(1, 3))).accepted_through

    assert stream(append_twice) == 3
    page = stream(lambda peer: peer.events(topic, 1, 10))
    assert ([event.seq for event in page.data], page.has_more) == ([2, 3], False)
    with pytest.raises(SequenceGap) as refusal:
        stream(lambda peer: peer.append(topic, some_events(9, 1)))
    assert refusal.value.details == {"expected": 4}


def test_a_seal_stands_and_tells_what_is_missing(stream: Ask) -> None:
    job_id = new_id("job")
    topic, producer = f"job:{job_id}", f"{job_id}.1"
    assert not stream(lambda peer: peer.seal(topic, producer, 2)).is_drained
    assert stream(lambda peer: peer.append(topic, some_events(1, 2, producer))).is_drained
    assert stream(lambda peer: peer.seal(topic, producer, 5)).sealed_at == 2
    with pytest.raises(ProducerSealed):
        stream(lambda peer: peer.append(topic, some_events(3, 1, producer)))


def test_an_attempt_that_never_ran_is_drained_at_nothing(stream: Ask) -> None:
    job_id = new_id("job")
    assert stream(lambda peer: peer.seal(f"job:{job_id}", f"{job_id}.1", 0)).is_drained


def test_a_living_attempt_is_not_removed_and_an_unknown_one_is_gone_already(worker: Ask) -> None:
    spec = a_spec()
    worker(lambda peer: peer.remove(spec.attempt_id))
    worker(lambda peer: peer.start(spec))
    with pytest.raises(Conflict) as refusal:
        worker(lambda peer: peer.remove(spec.attempt_id))
    assert refusal.value.code == "attempt_alive"
    _stop(worker, spec)


@pytest.mark.parametrize("count", [0, 2])
def test_a_removed_log_takes_nothing_and_shows_nothing(stream: Ask, count: int) -> None:
    topic = f"job:{new_id('job')}"
    if count:
        stream(lambda peer: peer.append(topic, some_events(1, count)))
    for _ in range(2):
        stream(lambda peer: peer.remove(topic))
    with pytest.raises(ProducerSealed):
        stream(lambda peer: peer.append(topic, some_events(count + 1, 1)))
    with pytest.raises(ProducerSealed):
        stream(lambda peer: peer.seal(topic, "job.1", 0))
    with pytest.raises(NotFound) as refusal:
        stream(lambda peer: peer.events(topic, 0, 10))
    assert refusal.value.code == "topic_deleted"
