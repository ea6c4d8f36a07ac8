"""A tiny engine without torch: emits numbered metrics and misbehaves as its spec says."""

import json
import os
import signal
import sys
import time
from typing import Any

from shared.contracts.failures import Reason
from shared.contracts.work import Control
from shared.worker.attempt import Attempt, Result, UserFault
from tests.fakes.misdeeds import DEEDS

IMPORTED_AT = time.time()


def run(attempt: Attempt) -> Result:
    """Emit `events` steps, `wait_s` apart."""
    spec: dict[str, Any] = dict(attempt.spec.spec)
    sys.stdout.write(f"attempt {attempt.spec.attempt_id} begins 你好\n")
    with (attempt.work / "runs").open("a") as runs:
        runs.write(f"{attempt.spec.attempt_id} {os.getpid()}\n")
    is_asked = _listen(spec.get("on_sigterm", "default"))
    for number in range(spec.get("prints", 0)):
        sys.stdout.write(f"[INFO|engine] line {number:08} of many, padded to a round length{'.' * 40}\n")
    if "says" in spec:
        sys.stdout.write(spec["says"])
    if spec.get("forks"):
        _fork_helpers(attempt)
    attempt.emit("log", {"imported_at": IMPORTED_AT, "began_at": time.time(), "environment": sorted(os.environ)})
    for step in range(1, spec.get("events", 10) + 1):
        attempt.emit("metrics_update", {"step": step, "total_steps": spec.get("events", 10), "train_loss": 1 / step})
        _misbehave(spec, step, attempt)
        time.sleep(spec.get("wait_s", 0.002))
        if is_asked:
            (attempt.work / "checkpoint").write_text(str(step))
            return Result.of_control(attempt.control() or Control.PREEMPT, {"steps": step})
    return Result(result={"steps": spec.get("events", 10)})


def _listen(reaction: str) -> list[int]:
    asked: list[int] = []
    if reaction == "ignore":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif reaction == "checkpoint":
        signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    return asked


def _misbehave(spec: dict[str, Any], step: int, attempt: Attempt) -> None:
    if step != spec.get("at"):
        return
    if spec.get("do") in DEEDS:
        DEEDS[spec["do"]](attempt.work)
    match spec.get("do"):
        case "user_fault":
            raise UserFault(Reason.NO_TRAINABLE_ROWS, "the data set has no rows; add some")
        case "tear":
            with (attempt.folder / "events.jsonl").open("ab") as log:
                log.write(b'{"seq": 99, "event_type": "metr')
            os.kill(os.getpid(), signal.SIGKILL)
        case "surrogate":
            attempt.emit("log", {"text": "\ud800"})
        case "flood":
            for number in range(5000):
                attempt.emit("log", {"number": number, "text": "x" * 100})


def _fork_helpers(attempt: Attempt) -> None:
    """One helper in the engine's group, one in a session of its own; both ignore SIGTERM."""
    pids = []
    for leaves in (False, True):
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            if leaves:
                os.setsid()
            while True:
                time.sleep(60)
        pids.append(pid)
    (attempt.work / "helpers").write_text(json.dumps(pids))
    sys.stdout.flush()
