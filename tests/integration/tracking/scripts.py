"""Trainers as processes of their own, to be killed or to run out of disk."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

LOGS_FOR_EVER = """
import sys, time
from pathlib import Path
import imts
run = imts.start(name="for ever", folder=Path(sys.argv[1]))
print(run.run_id, flush=True)
step = 0
while True:
    step += 1
    run.log({"train_loss": 1 / step}, step=step)
    print(step, flush=True)
    time.sleep(0.001)
"""


@contextmanager
def trainer(script: str, folder: Path, environ: Mapping[str, str]) -> Iterator["Trainer"]:
    """A script that logs into `folder`; killed at the end."""
    command = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(
        command, env=dict(environ), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Trainer(process)
        finally:
            process.kill()


class Trainer:
    """What a script says, line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def line(self) -> str:
        """The next thing it printed."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def kill(self) -> list[str]:
        """Signal 9; what it printed before it died and was not read yet."""
        self._process.send_signal(signal.SIGKILL)
        assert self._process.stdout is not None
        said = self._process.stdout.read().split()
        self._process.wait()
        return said


def senders(run_id: str) -> list[psutil.Process]:
    """Living processes that send this run, by their exact title."""
    return [process for process in psutil.process_iter() if _title(process) == f"imts:sender:{run_id}"]


def kill_senders(run_id: str) -> list[int]:
    """Signal 9 to each; the ids of those that died."""
    found = senders(run_id)
    for process in found:
        os.kill(process.pid, signal.SIGKILL)
    psutil.wait_procs(found, timeout=10)
    return [process.pid for process in found]


def _title(process: psutil.Process) -> str:
    try:
        return "" if process.status() == psutil.STATUS_ZOMBIE else " ".join(process.cmdline()).strip("\0 ")
    except psutil.Error:
        return ""
