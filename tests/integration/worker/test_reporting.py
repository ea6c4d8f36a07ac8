"""What the log gets when it is away, full of doubt, or closed."""

from shared.contracts.work import Outcome
from tests.fakes.stream_peer import StreamPeer
from tests.integration.worker.conftest import WorkerFactory, attempt_spec
from tests.waiting import eventually


def test_a_log_that_is_away_for_a_while_loses_nothing(start_worker: WorkerFactory, peer: StreamPeer) -> None:
    worker = start_worker()
    spec = attempt_spec(events=300, wait_s=0.005)
    worker.put(spec)
    eventually(lambda: peer.steps(spec.attempt_id))
    peer.stop()
    eventually(worker.folder(spec).exit.exists)
    assert not worker.folder(spec).reported.exists()
    peer.start()
    eventually(worker.folder(spec).reported.exists)
    assert peer.steps(spec.attempt_id) == list(range(1, 301))


def test_a_log_that_forgot_its_newest_events_gets_them_again(start_worker: WorkerFactory, peer: StreamPeer) -> None:
    worker = start_worker()
    spec = attempt_spec(events=200, wait_s=0.01)
    worker.put(spec)
    eventually(lambda: peer.steps(spec.attempt_id), lambda steps: len(steps) > 20)
    del peer.events[spec.attempt_id][10:]
    eventually(worker.folder(spec).reported.exists)
    assert peer.steps(spec.attempt_id) == list(range(1, 201))


def test_a_flood_arrives_whole_in_batches(start_worker: WorkerFactory, peer: StreamPeer) -> None:
    worker = start_worker()
    spec = attempt_spec(events=1, at=1, do="flood")
    worker.put(spec)
    eventually(worker.folder(spec).reported.exists)
    assert [e.data["number"] for e in peer.events[spec.attempt_id] if "number" in e.data] == list(range(5000))
    assert peer.appends < 100


def test_an_attempt_whose_answers_are_slow_holds_up_no_other(start_worker: WorkerFactory, peer: StreamPeer) -> None:
    worker = start_worker(slots=2)
    slow, quick = attempt_spec(events=50), attempt_spec(events=50)
    peer.slow = slow.attempt_id
    worker.put(slow)
    worker.put(quick)
    eventually(worker.folder(quick).reported.exists)
    assert peer.steps(slow.attempt_id) == []
    peer.patience.set()
    eventually(worker.folder(slow).reported.exists)
    assert peer.steps(slow.attempt_id) == peer.steps(quick.attempt_id) == list(range(1, 51))


def test_what_is_written_while_an_answer_is_awaited_goes_in_one_request(
    start_worker: WorkerFactory, peer: StreamPeer
) -> None:
    worker = start_worker()
    spec = attempt_spec(events=200)
    peer.slow = spec.attempt_id
    worker.put(spec)
    eventually(worker.folder(spec).exit.exists)
    peer.patience.set()
    eventually(worker.folder(spec).reported.exists)
    assert peer.steps(spec.attempt_id) == list(range(1, 201))
    assert peer.appends <= 3


def test_an_event_that_cannot_be_stored_leaves_a_note_in_its_place(
    start_worker: WorkerFactory, peer: StreamPeer
) -> None:
    worker = start_worker()
    spec = attempt_spec(events=10, at=4, do="surrogate")
    worker.put(spec)
    eventually(worker.folder(spec).reported.exists)
    assert peer.steps(spec.attempt_id) == list(range(1, 11))
    notes = [event for event in peer.events[spec.attempt_id] if event.event_type == "log"]
    assert notes[1].data["message"] == "an event could not be stored"


def test_an_event_the_log_refuses_is_found_and_replaced(start_worker: WorkerFactory, peer: StreamPeer) -> None:
    peer.refused_text = '"number":777,'
    worker = start_worker()
    spec = attempt_spec(events=1, at=1, do="flood")
    worker.put(spec)
    eventually(worker.folder(spec).reported.exists, within_s=30)
    numbers = [e.data["number"] for e in peer.events[spec.attempt_id] if "number" in e.data]
    assert numbers == [number for number in range(5000) if number != 777]


def test_a_zombie_stops_itself_when_its_log_is_sealed(start_worker: WorkerFactory, peer: StreamPeer) -> None:
    worker = start_worker()
    spec = attempt_spec(events=50_000)
    worker.put(spec)
    eventually(lambda: peer.steps(spec.attempt_id))
    peer.seals[spec.attempt_id] = len(peer.events[spec.attempt_id])
    report = eventually(lambda: worker.view(spec).exit)
    assert report is not None
    assert report.outcome is Outcome.STOPPED
    assert worker.folder(spec).reported.exists()
