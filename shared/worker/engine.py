"""The process that does the work: imports early, waits for its job, runs it, writes what came of it."""

import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from setproctitle import setproctitle

from shared.contracts.base import JsonObject
from shared.contracts.failures import Reason
from shared.contracts.work import AttemptSpec, Failure, Outcome
from shared.kit.artifacts import ArtifactStore
from shared.kit.files import write_atomic
from shared.worker.attempt import Attempt, EngineFault, Result
from shared.worker.failures.case import Case
from shared.worker.failures.diagnosis import diagnose
from shared.worker.failures.faults import faults_of
from shared.worker.folder import AttemptFolder
from shared.worker.processes import die_with_parent, title_of

Run = Callable[[Attempt], Result]


def failed(fault: Exception, spec: JsonObject, folder: Path) -> Result:
    """Whose fault an exception is, and whether another attempt may go better."""
    named, message = (fault.reason, fault.message) if isinstance(fault, EngineFault) else (Reason.ENGINE_FAILED, "")
    case = Case(faults=faults_of(fault), named=named, message=message, spec=spec, folder=str(folder))
    return Result(outcome=Outcome.FAILED, failure=Failure.model_validate(diagnose(case)))


def run_to_result(run: Run, attempt: Attempt) -> Result:
    """What the work came to; faults become a failed result, with their traceback in the attempt's output."""
    try:
        return run(attempt)
    except Exception as fault:  # noqa: BLE001 - the supervisor of an engine: one of the three places
        traceback.print_exc()
        return failed(fault, attempt.spec.spec, attempt.work.parent)


def _receive_job() -> bytes:
    received = b""
    while not received.endswith(b"\n"):
        chunk = os.read(0, 65536)
        if not chunk:
            raise SystemExit(0)
        received += chunk
    return received


def _redirect(folder: AttemptFolder) -> None:
    handle = os.open(folder.stdout, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.close(handle)


def _open_attempt(line: bytes) -> Attempt:
    job = json.loads(line)
    folder = AttemptFolder(Path(job["folder"]))
    setproctitle(f"imts:engine:{folder.attempt_id}")
    _redirect(folder)
    folder.work.mkdir(exist_ok=True)
    os.chdir(folder.work)
    spec = AttemptSpec.model_validate_json(folder.spec.read_bytes())
    store = ArtifactStore(job["artifacts_url"], Path(job["cache"]))
    return Attempt(spec, folder.path, folder.work, store)


def main(module: str, label: str, parent: int) -> None:
    """Import `module`, say so, wait for the job, run it."""
    die_with_parent(parent)
    setproctitle(title_of("engine", label))
    run: Run = importlib.import_module(module).run
    os.write(0, b"ready\n")
    attempt = _open_attempt(_receive_job())
    result = run_to_result(run, attempt)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    write_atomic(AttemptFolder(attempt.folder).outcome, result.model_dump_json())
    sys.stdout.flush()
    sys.stderr.flush()
    # The result is on disk; unloading a deep-learning stack takes time and may crash.
    os._exit(0 if result.failure is None else 1)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
