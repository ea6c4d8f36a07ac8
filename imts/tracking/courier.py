"""The trainer's hold on the process that sends: started, heard, replaced when it dies, waited for at the end."""

import json
import logging
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

# The trainer's own path, as multiprocessing gives it to what it spawns; never the folder that the trainer stands in.
_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); from imts.tracking.sender_process import main; main()"
)
GAVE_UP = os.EX_TEMPFAIL
"""How a sender ends that leaves the rest to the next start or to `imts sync`."""
_LOOK_S = 2.0
_LONGEST_LOOK_S = 60.0
_TURN_S = 0.2
logger = logging.getLogger("imts.tracking")
_left: list[subprocess.Popen[bytes]] = []
"""Senders that work on after their run; kept so that each is reaped when it has ended."""


class Courier:
    """One run's sender, seen from the trainer; a forked child of the trainer leaves it alone."""

    def __init__(self, journal: Path, environ: Mapping[str, str]) -> None:
        self._journal = journal.absolute()
        self._environ = dict(environ)
        self._owner = os.getpid()
        self._one_at_a_time = threading.Lock()
        self._look_s = _LOOK_S
        self._look_at = time.monotonic() + _LOOK_S
        self._process: subprocess.Popen[bytes] | None = None
        self._start()

    def mind(self) -> None:
        """Cheap enough for every call: now and then, see that the sender lives."""
        if time.monotonic() < self._look_at or not self._one_at_a_time.acquire(blocking=False):
            return
        try:
            self._look_at = time.monotonic() + self._look_s
            if os.getpid() == self._owner:
                self._look()
        finally:
            self._one_at_a_time.release()

    def wait(self, within_s: float) -> bool:
        """Whether the log had the whole run within this time."""
        deadline = time.monotonic() + within_s
        with self._one_at_a_time:
            while self._journal.exists() and (left_s := deadline - time.monotonic()) > 0:
                if self._is_heard():
                    self._listen(min(left_s, _TURN_S))
                elif self._gave_up():
                    break
                else:
                    self._start()
        self._leave()
        return not self._journal.exists()

    def _look(self) -> None:
        if self._is_heard():
            self._look_s = _LOOK_S
        elif self._journal.exists():
            # One that cannot live is not tried for ever at the trainer's expense.
            self._look_s = min(self._look_s * 2, _LONGEST_LOOK_S)
            self._start()

    def _start(self) -> None:
        self._leave()
        path = json.dumps([str(Path(entry).absolute()) for entry in sys.path])
        command = [sys.executable, "-P", "-c", _BOOT, path, str(self._journal)]
        try:
            process = subprocess.Popen(
                command, env=self._environ, cwd="/", start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0,
            )  # fmt: skip
        except OSError as fault:
            logger.warning("%s cannot be sent beside its trainer: %s", self._journal.stem, fault)
            return
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self._process = process

    def _is_heard(self) -> bool:
        """Pass on what the sender said; whether it is still at work."""
        if self._process is None or self._process.stdout is None:
            return False
        said = self._process.stdout.read(1 << 16)
        if said:
            logger.warning("%s", said.decode(errors="replace").rstrip())
        return said != b""

    def _gave_up(self) -> bool:
        try:
            return self._process is not None and self._process.wait(_TURN_S) == GAVE_UP
        except subprocess.TimeoutExpired:
            return False

    def _listen(self, within_s: float) -> None:
        if self._process is not None and self._process.stdout is not None:
            poll = select.poll()
            poll.register(self._process.stdout, select.POLLIN)
            poll.poll(within_s * 1000)

    def _leave(self) -> None:
        _left[:] = [process for process in _left if process.poll() is None]
        if self._process is None:
            return
        if self._process.stdout is not None:
            self._process.stdout.close()
        if self._process.poll() is None:
            _left.append(self._process)
        self._process = None
