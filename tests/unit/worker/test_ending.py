"""How an attempt's end is decided, and written so that a crash in between changes nothing."""

import json
from pathlib import Path

import pytest

from shared.contracts.work import ExitReport, Failure, Outcome
from shared.worker.ending import decide_ending, end_attempt
from shared.worker.failures.case import Remains
from shared.worker.folder import AttemptFolder, ControlFile
from shared.worker.journal import append_event, count_lines, cut_torn_line, last_event


@pytest.fixture
def folder(tmp_path: Path) -> AttemptFolder:
    path = tmp_path / "job-1" / "1"
    path.mkdir(parents=True)
    return AttemptFolder(path)


def _report(folder: AttemptFolder) -> ExitReport:
    return ExitReport.model_validate_json(folder.exit.read_bytes())


def _asked(control: str) -> ControlFile:
    return ControlFile(control=control, deadline=0.0)


@pytest.mark.parametrize(
    ("asked", "remains", "outcome", "reason"),
    [
        (None, Remains(signal=9), Outcome.FAILED, "engine_killed"),
        (None, Remains(signal=9, oom_kills=1), Outcome.FAILED, "out_of_memory_host"),
        (None, Remains(signal=11), Outcome.FAILED, "engine_crashed"),
        (None, Remains(code=1), Outcome.FAILED, "engine_exited"),
        (None, Remains(code=0), Outcome.FAILED, "engine_exited"),
        (None, Remains(is_lost=True), Outcome.WORKER_LOST, "worker_lost"),
        (None, Remains(start_fault="no"), Outcome.FAILED, "not_started"),
        (_asked("stop"), Remains(signal=15), Outcome.STOPPED, "stopped_by_user"),
        (_asked("pause"), Remains(signal=9), Outcome.PAUSED, None),
        (_asked("preempt"), Remains(is_lost=True), Outcome.PREEMPTED, None),
    ],
)
def test_without_a_word_of_the_engine_the_circumstances_decide(
    folder: AttemptFolder, asked: ControlFile | None, remains: Remains, outcome: Outcome, reason: str | None
) -> None:
    ending = decide_ending(None, asked, remains, folder)
    assert ending["outcome"] == outcome
    assert (ending["failure"] or {}).get("reason") == reason
    if ending["failure"]:
        assert Failure.model_validate(ending["failure"]).retryable is (asked is None)


def test_the_engines_own_word_comes_first(folder: AttemptFolder) -> None:
    ending = decide_ending({"outcome": "succeeded", "result": {"a": 1}}, _asked("stop"), Remains(is_lost=True), folder)
    assert ending == {"outcome": "succeeded", "failure": None, "result": {"a": 1}, "artifacts": []}


def test_what_a_killed_engine_needed_for_its_work_goes_with_the_attempt(folder: AttemptFolder) -> None:
    (folder.scratch / "data").mkdir(parents=True)
    (folder.scratch / "data" / "rows.jsonl").write_text("{}")
    end_attempt(folder, Remains(is_lost=True))
    assert _report(folder).outcome is Outcome.WORKER_LOST
    assert not folder.scratch.exists()


def test_the_last_event_is_attempt_ended_and_its_number_is_in_the_report(folder: AttemptFolder) -> None:
    append_event(folder.events, 1, "log", {})
    with folder.events.open("ab") as log:
        log.write(b'{"seq": 2, "event')
    end_attempt(folder, Remains(code=3, peak_memory_bytes=7))
    report = _report(folder)
    assert (report.last_seq, report.code, report.peak_memory_bytes) == (2, 3, 7)
    last = last_event(folder.events)
    assert last is not None
    assert (last["seq"], last["event_type"], last["data"]["outcome"]) == (2, "attempt_ended", "failed")


@pytest.mark.parametrize("is_appended", [False, True])
def test_an_ending_that_a_crash_cut_short_is_finished_not_decided_again(
    folder: AttemptFolder, is_appended: bool
) -> None:
    end_attempt(folder, Remains(code=3))
    first = folder.exit.read_bytes()
    folder.exit.rename(folder.ending)
    if not is_appended:
        folder.events.write_text("")
    end_attempt(folder, Remains(is_lost=True))
    assert folder.exit.read_bytes() == first
    assert count_lines(folder.events) == 1


def test_a_second_ending_changes_nothing(folder: AttemptFolder) -> None:
    end_attempt(folder, Remains(code=3))
    before = folder.exit.read_bytes(), folder.events.read_bytes()
    end_attempt(folder, Remains(is_lost=True))
    assert (folder.exit.read_bytes(), folder.events.read_bytes()) == before


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (b"", b""),
        (b"{}\n", b"{}\n"),
        (b"{}\n{", b"{}\n"),
        (b"{", b""),
        (b"{}\n" + b"x" * 600_000, b"{}\n"),
        (b"x" * 600_000, b""),
    ],
)
def test_a_torn_line_is_cut_whatever_its_length(tmp_path: Path, content: bytes, kept: bytes) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(content)
    assert cut_torn_line(path) == len(content) - len(kept)
    assert path.read_bytes() == kept


def test_an_attempt_that_wrote_nothing_still_ends_in_its_log(folder: AttemptFolder) -> None:
    end_attempt(folder, Remains(is_lost=True))
    assert _report(folder).last_seq == 1
    assert json.loads(folder.events.read_text())["event_type"] == "attempt_ended"
