"""The process that starts an engine, outlives the service, and always writes how it ended (standard library only)."""

import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from setproctitle import setproctitle

from shared.kit.files import write_atomic
from shared.worker.ending import end_attempt
from shared.worker.failures.case import Remains
from shared.worker.folder import AttemptFolder, ControlFile
from shared.worker.liveness import try_lock
from shared.worker.oom import memory_limit, read_kills
from shared.worker.output import MOST_BYTES, OutputCap
from shared.worker.processes import SPARE, adopt_orphans, kill_family, title_of

_POLL_MS = 100
_LOCK_PATIENCE_S = 2.0
_LONGEST_GRACE_S = 3600.0


class Engine:
    """The child that does the work, in a process group of its own."""

    def __init__(self, module: str, label: str) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "shared.worker.engine", module, label, str(os.getpid())]
            self._process: subprocess.Popen[bytes] = subprocess.Popen(command, stdin=theirs.fileno(), process_group=0)
        self.socket = ours
        self.pid = self._process.pid
        self.handle = os.pidfd_open(self.pid)

    def hand_over(self, line: bytes) -> None:
        """Give the job to the waiting engine; one that is gone is noticed by its exit."""
        try:
            self.socket.sendall(line)
        except OSError:
            return

    def has_ended(self) -> bool:
        """Whether the engine is a zombie; other ended children are reaped, it is not, so that its id stays taken."""
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if ended.si_pid == self.pid:
                return True
            os.waitpid(ended.si_pid, 0)
        return False

    def collect(self) -> int:
        """Reap the ended engine; its wait status."""
        return self._process.wait()

    def kill_group(self) -> None:
        """End the engine and its helpers; it must not have been reaped yet."""
        os.killpg(self.pid, signal.SIGKILL)

    def terminate(self) -> None:
        """Ask the engine to end; its helpers are its own to end."""
        try:
            os.kill(self.pid, signal.SIGTERM)
        except ProcessLookupError:
            return


def wait_for_job(service: socket.socket, engine: Engine, label: str) -> bytes | None:
    """The line that names the job; None when the service is gone before it gave one, or when a spare's engine is.

    A spare takes its job on only once its imports are done: if they fail, the attempt is still anybody's to start.
    """
    poll = select.poll()
    poll.register(service, select.POLLIN)
    poll.register(engine.socket, select.POLLIN)
    received = b""
    may_take_on = label != SPARE
    while not (may_take_on and received.endswith(b"\n")):
        for descriptor, _ in poll.poll():
            if descriptor == engine.socket.fileno():
                if said := engine.socket.recv(64):
                    may_take_on = True
                    _tell(service, said)
                elif label == SPARE:
                    return None
                else:
                    poll.unregister(engine.socket)
            elif chunk := service.recv(65536):
                received += chunk
            elif received.endswith(b"\n"):
                poll.unregister(service)
            else:
                return None
    return received


def _tell(service: socket.socket, message: bytes) -> None:
    try:
        service.sendall(message)
    except OSError:
        return


class Watch:
    """Waits for the engine, passes on what is asked of the attempt, and enforces the deadline."""

    def __init__(self, engine: Engine, folder: AttemptFolder, grace_s: float, cap: OutputCap) -> None:
        self._engine = engine
        self._folder = folder
        self._cap = cap
        self._own_grace_s = grace_s
        self._asked: ControlFile | None = None
        self._kill_at: float | None = None
        self._was_told_to_end = False
        signal.signal(signal.SIGTERM, self._on_sigterm)

    def _on_sigterm(self, *_: object) -> None:
        self._was_told_to_end = True

    def until_exit(self) -> None:
        """Return once the engine has ended, by itself or by force."""
        poll = select.poll()
        poll.register(self._engine.handle, select.POLLIN)
        while not self._engine.has_ended():
            self._obey()
            if self._kill_at is not None and time.monotonic() >= self._kill_at:
                self._engine.kill_group()
            self._cap.hold()
            poll.poll(_POLL_MS)
        self._cap.hold()

    def _obey(self) -> None:
        if self._was_told_to_end and not self._folder.control.exists():
            self._folder.write_control({"control": "preempt", "deadline": time.time() + self._own_grace_s})
        if self._asked is None and self._folder.control.exists():
            self._asked = self._folder.read_control()
            if self._asked is not None:
                grace_s = min(max(self._asked["deadline"] - time.time(), 0.0), _LONGEST_GRACE_S)
                self._kill_at = time.monotonic() + grace_s
                self._engine.terminate()


def _remains(code: int, kills_before: int) -> Remains:
    peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return Remains(
        code=code if code >= 0 else None,
        signal=-code if code < 0 else None,
        peak_memory_bytes=peak_kib * 1024,
        memory_limit_bytes=memory_limit(),
        oom_kills=max(0, read_kills() - kills_before),
    )


def _send_output_to(log: Path) -> None:
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)


def _run(engine: Engine, line: bytes) -> int:
    job = json.loads(line)
    folder = AttemptFolder(Path(job["folder"]))
    lock = try_lock(folder.lock, _LOCK_PATIENCE_S)
    if lock is None or folder.exit.exists() or folder.shepherd.exists():
        engine.kill_group()
        return os.EX_TEMPFAIL
    setproctitle(f"imts:shepherd:{folder.attempt_id}")
    _send_output_to(folder.stdout)
    started_at = datetime.now(UTC).isoformat()
    facts = {"pid": os.getpid(), "engine_pid": engine.pid, "started_at": started_at}
    write_atomic(folder.shepherd, json.dumps(facts))
    kills_before = read_kills()
    cap = OutputCap(folder.stdout, folder.hole, int(job.get("output_bytes", MOST_BYTES)))
    watch = Watch(engine, folder, float(job["stop_grace_s"]), cap)
    engine.hand_over(line)
    watch.until_exit()
    engine.kill_group()
    code = engine.collect()
    kill_family(folder.stdout)
    end_attempt(folder, _remains(code, kills_before))
    return 0


def main(module: str, label: str) -> int:
    """Start an engine, wait for a job (`label` is its attempt, or `spare`), see it through."""
    setproctitle(title_of("shepherd", label))
    for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(ignored, signal.SIG_IGN)
    adopt_orphans()
    service = socket.socket(fileno=os.dup(0))
    engine = Engine(module, label)
    line = wait_for_job(service, engine, label)
    service.close()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if line is None:
        engine.kill_group()
        return 1
    return _run(engine, line)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
