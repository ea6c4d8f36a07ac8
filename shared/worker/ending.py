"""How an attempt ended, decided from what its processes left behind (standard library only)."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.kit.files import fsync, write_atomic
from shared.worker.folder import AttemptFolder, ControlFile, read_json
from shared.worker.journal import append_event, count_lines, cut_torn_line, last_event

ATTEMPT_ENDED = "attempt_ended"
_BY_CONTROL = {"stop": "stopped", "pause": "paused", "preempt": "preempted"}


@dataclass(frozen=True, slots=True)
class Remains:
    """What is known of the processes after the last of them is gone."""

    code: int | None = None
    signal: int | None = None
    peak_memory_bytes: int | None = None
    oom_killed: bool = False
    is_lost: bool = False
    """Nobody saw the engine end: its shepherd died first."""
    start_fault: str | None = None
    """The attempt was never started, and why."""


def _failure(failure_class: str, reason: str, message: str) -> dict[str, Any]:
    return {"failure_class": failure_class, "reason": reason, "message": message, "retryable": True}


def _failure_of(remains: Remains) -> dict[str, Any]:
    if remains.start_fault is not None:
        return _failure("platform", "not_started", remains.start_fault)
    if remains.is_lost:
        return _failure("infrastructure", "worker_lost", "the worker's processes died without a report")
    if remains.oom_killed:
        return _failure("infrastructure", "out_of_memory_host", "the machine ran out of memory; the engine was killed")
    if remains.signal is not None:
        return _failure("infrastructure", "engine_killed", f"the engine was ended by signal {remains.signal}")
    return _failure(
        "unknown", "engine_crashed", f"the engine ended with code {remains.code} and no result; see the log"
    )


def decide_ending(own_word: Mapping[str, Any] | None, asked: ControlFile | None, remains: Remains) -> dict[str, Any]:
    """Outcome, failure, result and artifacts: the engine's word first, then what was asked, then what killed it."""
    if own_word is not None:
        kept: dict[str, Any] = {"outcome": own_word.get("outcome", "succeeded"), "failure": own_word.get("failure")}
        return {**kept, "result": own_word.get("result", {}), "artifacts": own_word.get("artifacts", [])}
    empty: dict[str, Any] = {"result": {}, "artifacts": []}
    if asked is not None:
        return {"outcome": _BY_CONTROL[asked["control"]], "failure": None, **empty}
    outcome = "worker_lost" if remains.is_lost else "failed"
    return {"outcome": outcome, "failure": _failure_of(remains), **empty}


def end_attempt(folder: AttemptFolder, remains: Remains) -> None:
    """Close the log with `attempt_ended` and write `exit.json`; the caller holds the attempt's lock.

    The report is staged first, so whoever finishes after a crash in between repeats it and does not decide again.
    """
    if folder.exit.exists():
        return
    cut_torn_line(folder.events)
    if not folder.ending.exists():
        report = {
            **decide_ending(read_json(folder.outcome), folder.read_control(), remains),
            "code": remains.code,
            "signal": remains.signal,
            "peak_memory_bytes": remains.peak_memory_bytes,
            "oom_killed": remains.oom_killed,
            "last_seq": count_lines(folder.events) + 1,
            "ended_at": datetime.now(UTC).isoformat(),
        }
        write_atomic(folder.ending, json.dumps(report))
    staged = json.loads(folder.ending.read_bytes())
    newest = last_event(folder.events)
    if newest is None or newest.get("event_type") != ATTEMPT_ENDED:
        append_event(folder.events, staged["last_seq"], ATTEMPT_ENDED, _told(staged))
    os.replace(folder.ending, folder.exit)
    fsync(folder.path)


def _told(report: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a report that belongs in the event log."""
    names = ("outcome", "code", "signal", "peak_memory_bytes", "oom_killed", "failure")
    return {name: report[name] for name in names}
