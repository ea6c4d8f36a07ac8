"""A service under strace: which files it touched, and whom it called, told by the kernel and not by the service."""

import codecs
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.own_servers import required_program

_CALL = re.compile(r"^\d+ +(?P<name>\w+)\((?P<arguments>.*)$")
_PATH = re.compile(r'(?:(?:AT_FDCWD|\d+)(?:<(?P<folder>[^>]*)>)?, )?"(?P<path>(?:[^"\\]|\\.)*)"(?P<cut>\.\.\.)?')
_ADDRESS = re.compile(r'sin6?_port=htons\((\d+)\).*?(?:inet_addr\("|inet_pton\(AF_INET6, ")([^"]+)"')
_CALLING = frozenset({"connect", "sendto", "sendmsg", "sendmmsg"})
_WATCHED = "%file,connect,sendto,sendmsg,sendmmsg"


@dataclass
class Traced:
    """A process and all that it starts, each with its file and network calls written down."""

    process: subprocess.Popen[bytes]
    log: Path
    folder: Path
    """Where it runs: what relative paths are relative to."""
    seen: int = 0

    def forget(self) -> None:
        """Look only at what comes from now on."""
        self.seen = self.log.stat().st_size

    def _calls(self) -> Iterator[tuple[str, str]]:
        if not self.log.exists():
            return
        with self.log.open("rb") as stream:
            stream.seek(self.seen)
            for line in stream.read().decode(errors="replace").splitlines():
                if found := _CALL.match(line):
                    yield found["name"], found["arguments"]

    def files(self) -> set[Path]:
        """Every path that was named to the kernel, whether or not it is there."""
        found = set()
        for name, arguments in self._calls():
            if name in _CALLING:
                continue
            for place, match in enumerate(_PATH.finditer(arguments)):
                assert match["cut"] is None, f"a path that strace cut off: {arguments}"
                if place == 0 or name != "execve":
                    path = codecs.decode(match["path"], "unicode_escape")
                    found.add(Path(os.path.normpath(self.folder / (match["folder"] or "") / path)))
        return found

    def called(self) -> set[tuple[str, int]]:
        """Every address and port that was connected or sent to."""
        asked = (arguments for name, arguments in self._calls() if name in _CALLING)
        return {(match[2], int(match[1])) for arguments in asked for match in _ADDRESS.finditer(arguments)}


@contextmanager
def traced(command: list[str], folder: Path, environment: Mapping[str, str]) -> Iterator[Traced]:
    """Run a command under strace; it is asked to end, and its tracer with it, afterwards."""
    log = folder.parent / f"{folder.name}.strace"
    watch = [
        required_program("strace"),
        "-f",
        "--seccomp-bpf",
        "-qq",
        "-y",
        "-s",
        "4096",
        "-e",
        "signal=none",
        "-o",
        str(log),
    ]
    with (folder.parent / f"{folder.name}.log").open("ab") as output:
        process = subprocess.Popen(
            [*watch, "-e", f"trace={_WATCHED}", *command],
            env=dict(environment),
            stdout=output,
            stderr=output,
            cwd=folder,
        )
    try:
        yield Traced(process, log, folder)
    finally:
        _end(process)


def _end(tracer: subprocess.Popen[bytes]) -> None:
    """Ask what is traced to end: the tracer hands SIGTERM on to nobody, and ends with it."""
    with suppress(FileNotFoundError, ProcessLookupError):
        for child in Path(f"/proc/{tracer.pid}/task/{tracer.pid}/children").read_text().split():
            os.kill(int(child), signal.SIGTERM)
    tracer.wait(30)


def require_tracing() -> None:
    """Skip where processes may not be traced; in CI that is a failure."""
    done = subprocess.run(
        [required_program("strace"), "-f", "-qq", "-e", "trace=none", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and os.environ.get("CI"):
        pytest.fail(f"CI must let processes be traced: {done.stderr}")
    if done.returncode:
        pytest.skip(f"processes cannot be traced here: {done.stderr}")
