"""One service under supervision: when it is due to start, and what its deaths mean."""

import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from imts.up.commands import Command
from imts.up.faults import CannotStart
from imts.up.folder import DataFolder
from imts.up.logs import last_lines, rotate
from imts.up.process import Process

Say = Callable[[str], None]

_QUICK_DEATH_S = 10.0
_DEATHS_TO_TELL = 5
_SLOW_PAUSE_S = 30.0
_BAD_SETTINGS = 78
"""EX_CONFIG: the service says its settings are wrong; trying again at once cannot help."""
_RESTART_GRACE_S = 15.0


def is_port_free(host: str, port: int) -> bool:
    """Whether a service could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


@dataclass
class Watched:
    """A service and, while it lives, its process."""

    command: Command
    folder: DataFolder
    say: Say
    process: Process | None = None
    start_at: float = 0.0
    quick_deaths: int = 0
    _started_at: float = field(default_factory=time.monotonic)

    @property
    def name(self) -> str:
        return self.command.name

    def adopt(self) -> None:
        """Take over the living process of an earlier `imts up`, or end it when it was started differently."""
        found = Process.find(self.folder.record(self.name))
        if found is None:
            return
        process, fingerprint = found
        if fingerprint == self.command.fingerprint:
            self.folder.drain_marker(self.name).unlink(missing_ok=True)
            self.process = process
            self.say(f"{self.name} is still running (pid {process.pid}): taken over")
            return
        self.say(f"{self.name} (pid {process.pid}) runs with other settings: restarting it; its jobs run on")
        process.send(signal.SIGTERM)
        if not process.has_ended(_RESTART_GRACE_S):
            process.send(signal.SIGKILL)
            process.has_ended(_RESTART_GRACE_S)
        process.bury()

    def require_port(self) -> None:
        """Refuse to begin when a stranger sits on the port."""
        if self.process is None and not is_port_free(self.command.host, self.command.port):
            raise CannotStart(
                f"port {self.command.port} for {self.name} is taken by another program; "
                "end that program, or move all ports with --port-offset"
            )

    def start(self) -> None:
        """Start the process; jobs of its earlier life run on, so it must not begin by draining."""
        self.folder.service(self.name).mkdir(exist_ok=True, mode=0o700)
        self.folder.drain_marker(self.name).unlink(missing_ok=True)
        rotate(self.folder.log(self.name))
        self._started_at = time.monotonic()
        self.process = Process.spawn(self.command, self.folder.log(self.name), self.folder.record(self.name))

    def bury(self) -> None:
        """Note that the process has ended, and when the next one is due."""
        assert self.process is not None
        how = self.process.bury()
        code = self.process.child.returncode if self.process.child else None
        self.process = None
        is_quick = time.monotonic() - self._started_at < _QUICK_DEATH_S
        self.quick_deaths = self.quick_deaths + 1 if is_quick else 0
        if code == _BAD_SETTINGS:
            self.quick_deaths = max(self.quick_deaths, _DEATHS_TO_TELL)
        pause_s = self._pause_s()
        self.start_at = time.monotonic() + pause_s
        self.say(f"{self.name} {how}; starting it again" + (f" in {pause_s:g} s" if pause_s >= 1 else ""))
        if self.quick_deaths >= _DEATHS_TO_TELL:
            self._tell_why()

    def _pause_s(self) -> float:
        if self.quick_deaths >= _DEATHS_TO_TELL:
            return _SLOW_PAUSE_S
        return 0.0 if self.quick_deaths <= 1 else 0.25 * 2**self.quick_deaths

    def _tell_why(self) -> None:
        log = self.folder.log(self.name)
        self.say(f"{self.name} cannot start; the end of {log}:")
        for line in last_lines(log):
            self.say(f"  {line}")
        if not is_port_free(self.command.host, self.command.port):
            self.say(f"  (port {self.command.port} is taken)")

    def ask_to_end(self) -> None:
        """SIGTERM that ends this service's jobs too, after a checkpoint; the next start resumes them."""
        if self.process is not None:
            if self.command.has_jobs:
                self.folder.drain_marker(self.name).touch()
            self.process.send(signal.SIGTERM)
