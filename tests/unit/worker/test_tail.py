"""Reading an events file while it grows."""

from pathlib import Path

import pytest

from shared.contracts.work import Progress
from shared.worker.folder import AttemptFolder
from shared.worker.journal import append_event
from shared.worker.tail import Tail, advanced


@pytest.fixture
def folder(tmp_path: Path) -> AttemptFolder:
    path = tmp_path / "job-1" / "3"
    path.mkdir(parents=True)
    return AttemptFolder(path)


def _write(folder: AttemptFolder, *seqs: int) -> None:
    for seq in seqs:
        append_event(folder.events, seq, "metrics_update", {"step": seq})


def _steps(tail: Tail) -> list[object]:
    return [event.data.get("step") for event in tail.batch()]


def test_only_whole_lines_are_events(folder: AttemptFolder) -> None:
    tail = Tail(folder)
    tail.fill()
    assert tail.batch() == []
    _write(folder, 1)
    line = folder.events.read_bytes()
    with folder.events.open("ab") as log:
        log.write(line[:20])
    tail.fill()
    assert _steps(tail) == [1]
    with folder.events.open("ab") as log:
        log.write(line[20:])
    tail.fill()
    assert _steps(tail) == [1, 1]
    assert tail.batch()[0].attempt == 3


def test_what_the_log_has_is_not_sent_again(folder: AttemptFolder) -> None:
    _write(folder, 1, 2, 3)
    tail = Tail(folder)
    tail.fill()
    tail.acknowledge(2)
    assert _steps(tail) == [3]
    _write(folder, 4)
    tail.fill()
    assert _steps(tail) == [3, 4]


def test_a_log_that_is_ahead_of_what_was_read_is_believed(folder: AttemptFolder) -> None:
    tail = Tail(folder)
    tail.acknowledge(2)
    _write(folder, 1, 2, 3)
    tail.fill()
    assert _steps(tail) == [3]


def test_a_log_that_fell_back_is_sent_the_file_again(folder: AttemptFolder) -> None:
    _write(folder, 1, 2, 3)
    tail = Tail(folder)
    tail.fill()
    tail.acknowledge(3)
    tail.acknowledge(1)
    tail.fill()
    assert _steps(tail) == [2, 3]


@pytest.mark.parametrize(
    "line",
    [
        b"not json\n",
        b"[]\n",
        b'{"seq":1,"event_type":"log","timestamp":"2026-01-01T00:00:00Z","data":{"a":"\\ud800"}}\n',
        b'{"seq":1,"event_type":"NOT A TYPE","timestamp":"2026-01-01T00:00:00Z","data":{}}\n',
        b"\x00\x00\n",
        b"\xff\n",
    ],
)
def test_a_line_that_is_no_event_keeps_its_number(folder: AttemptFolder, line: bytes) -> None:
    folder.events.write_bytes(line)
    _write(folder, 2)
    tail = Tail(folder)
    tail.fill()
    assert [event.event_type for event in tail.batch()] == ["log", "metrics_update"]


def test_batches_fit_into_a_request(folder: AttemptFolder) -> None:
    for seq in range(1, 6):
        append_event(folder.events, seq, "log", {"text": "x" * 60_000})
    tail = Tail(folder)
    tail.fill()
    assert len(tail.batch()) == 2
    assert len(tail.batch(most=1)) == 1


def test_a_placeholder_that_is_refused_too_is_given_up(folder: AttemptFolder) -> None:
    _write(folder, 1, 2)
    tail = Tail(folder)
    tail.fill()
    assert tail.replace_next()
    assert [event.event_type for event in tail.batch()] == ["log", "metrics_update"]
    assert not tail.replace_next()


def test_progress_keeps_the_newest_of_each_figure() -> None:
    first = advanced(Progress(), "metrics_update", {"step": 5, "total_steps": 10, "epoch": 0.5, "train_loss": 2.0})
    assert (first.step, first.total_steps, first.epoch, first.fraction) == (5, 10, 0.5, 0.5)
    second = advanced(first, "metrics_update", {"step": 6, "total_steps": 10, "val_loss": 1.0})
    assert (second.step, second.epoch, second.metrics) == (6, 0.5, {"train_loss": 2.0, "val_loss": 1.0})
    assert advanced(second, "log", {"step": 9}) == second
    third = advanced(Progress(), "progress", {"done": 3, "total": 4, "what": "rows"})
    assert (third.step, third.total_steps, third.fraction, third.metrics) == (3, 4, 0.75, {})
    assert advanced(third, "progress", {"done": 1, "total": 0}).fraction == 0.75
