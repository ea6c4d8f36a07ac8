"""Keep the services alive until told to stop; then stop them in order."""

import os
import select
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby

from imts.up.commands import Command
from imts.up.folder import DataFolder
from imts.up.watched import Say, Watched

_READY_POLL_S = 0.2
_IDLE_POLL_S = 60.0


@dataclass(frozen=True)
class Hooks:
    """What the supervisor asks and tells besides processes."""

    is_ready: Callable[[], bool]
    on_ready: Callable[[], None]
    say: Say


class Supervisor:
    """The living services of one data folder; the caller holds the folder's lock."""

    def __init__(self, commands: Sequence[Command], folder: DataFolder, hooks: Hooks, grace_s: float = 120.0) -> None:
        self._watched = [Watched(command, folder, hooks.say) for command in commands]
        self._hooks = hooks
        self._grace_s = grace_s
        self._signals = 0
        self._is_announced = False
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> None:
        """Adopt or start every service, keep them alive, and return when they have ended after a signal."""
        with self._signals_noted():
            for watched in self._watched:
                watched.adopt()
            for watched in self._watched:
                watched.require_port()
            while not self._signals:
                self._start_due()
                self._announce()
                self._sleep()
                self._bury_ended()
            self._stop_all()

    @contextmanager
    def _signals_noted(self) -> Iterator[None]:
        def note(*_: object) -> None:
            self._signals += 1

        before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
        # Without it a signal that arrives between the check and poll() would wait for the next timeout.
        wakeup = signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(self._wake_read)
            os.close(self._wake_write)

    def _sleep(self, at_most_s: float = _IDLE_POLL_S) -> None:
        """Until a service ends, a signal comes, or something is due."""
        now = time.monotonic()
        due = [watched.start_at - now for watched in self._watched if watched.process is None]
        if not self._is_announced:
            due.append(_READY_POLL_S)
        poll = select.poll()
        poll.register(self._wake_read, select.POLLIN)
        for watched in self._watched:
            if watched.process is not None:
                poll.register(watched.process.fd, select.POLLIN)
        poll.poll(max(0.0, min([at_most_s, *due])) * 1000)
        try:
            os.read(self._wake_read, 512)
        except BlockingIOError:
            return

    def _start_due(self) -> None:
        for watched in self._watched:
            if watched.process is None and watched.start_at <= time.monotonic():
                watched.start()

    def _bury_ended(self) -> None:
        for watched in self._watched:
            if watched.process is not None and watched.process.has_ended():
                watched.bury()

    def _announce(self) -> None:
        if not self._is_announced and self._hooks.is_ready():
            self._is_announced = True
            self._hooks.on_ready()

    def _stop_all(self) -> None:
        self._hooks.say("stopping: running jobs save a checkpoint, and the next `imts up` resumes them")
        ordered = sorted(self._watched, key=lambda watched: watched.command.stop_rank)
        for _, group in groupby(ordered, key=lambda watched: watched.command.stop_rank):
            self._stop(list(group))
        self._hooks.say("stopped")

    def _stop(self, group: Sequence[Watched]) -> None:
        heard = self._signals
        for watched in group:
            watched.ask_to_end()
        deadline = time.monotonic() + self._grace_s
        for watched in group:
            process = watched.process
            if process is None:
                continue
            while not process.has_ended(0.1):
                if time.monotonic() > deadline or self._signals > heard:
                    self._hooks.say(f"{watched.name} has not ended: killing it; jobs it still has run on")
                    process.send(signal.SIGKILL)
                    process.has_ended(5.0)
                    break
            process.bury()
            watched.process = None
