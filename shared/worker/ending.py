"""How an attempt ended, decided from what its processes left behind (standard library only)."""

import json
import os
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from shared.kit.files import fsync, write_atomic
from shared.worker.failures.case import Remains
from shared.worker.failures.diagnosis import diagnose
from shared.worker.failures.gathering import gather
from shared.worker.folder import AttemptFolder, ControlFile, read_json
from shared.worker.journal import append_event, count_lines, cut_torn_line, last_event

ATTEMPT_ENDED = "attempt_ended"
_BY_CONTROL = {"stop": "stopped", "pause": "paused", "preempt": "preempted"}
_UNSUCCESSFUL = frozenset({"failed", "stopped", "worker_lost"})


def decide_ending(
    own_word: Mapping[str, Any] | None, asked: ControlFile | None, remains: Remains, folder: AttemptFolder
) -> dict[str, Any]:
    """Outcome, failure, result and artifacts: the engine's word first, then what was asked, then what killed it."""
    word = own_word or {}
    if own_word is not None:
        outcome = word.get("outcome", "succeeded")
    elif asked is not None:
        outcome = _BY_CONTROL[asked["control"]]
    else:
        outcome = "worker_lost" if remains.is_lost else "failed"
    failure = None
    if outcome in _UNSUCCESSFUL:
        failure = diagnose(gather(folder, remains, word.get("failure"), was_stopped=outcome == "stopped"))
    left = {"result": word.get("result", {}), "artifacts": word.get("artifacts", [])}
    return {"outcome": outcome, "failure": failure, **left}


def end_attempt(folder: AttemptFolder, remains: Remains) -> None:
    """Close the log with `attempt_ended` and write `exit.json`; the caller holds the attempt's lock.

    The report is staged first, so whoever finishes after a crash in between repeats it and does not decide again.
    """
    if folder.exit.exists():
        return
    cut_torn_line(folder.events)
    if not folder.ending.exists():
        report = {
            **decide_ending(read_json(folder.outcome), folder.read_control(), remains, folder),
            "code": remains.code,
            "signal": remains.signal,
            "peak_memory_bytes": remains.peak_memory_bytes,
            "oom_killed": remains.oom_kills > 0,
            "last_seq": count_lines(folder.events) + 1,
            "ended_at": datetime.now(UTC).isoformat(),
        }
        write_atomic(folder.ending, json.dumps(report))
    staged = json.loads(folder.ending.read_bytes())
    newest = last_event(folder.events)
    if newest is None or newest.get("event_type") != ATTEMPT_ENDED:
        append_event(folder.events, staged["last_seq"], ATTEMPT_ENDED, _told(staged))
    # Only now, and before anyone hears of the end: an engine that was killed could not do it itself.
    shutil.rmtree(folder.scratch, ignore_errors=True)
    os.replace(folder.ending, folder.exit)
    fsync(folder.path)


def _told(report: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a report that belongs in the event log."""
    names = ("outcome", "code", "signal", "peak_memory_bytes", "oom_killed", "failure")
    return {name: report[name] for name in names}
