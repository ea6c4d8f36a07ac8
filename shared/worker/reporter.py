"""Follows what engines write, for every attempt living or dead, until the event log has all of it."""

import asyncio
from collections.abc import Callable

from shared.contracts.work import Progress
from shared.kit.bell import Bell
from shared.kit.clock import Clock
from shared.kit.logs import logger
from shared.kit.peer import PeerClient
from shared.kit.tasks import end_tasks, in_thread
from shared.worker.delivery import Delivery
from shared.worker.folder import AttemptFolder
from shared.worker.lookout import Lookout
from shared.worker.tail import Tail

_IDLE_S = 1.0
_AT_ONCE = 16
"""Requests in flight; more attempts than this are rare, and one that waits for an answer holds a turn for seconds."""
_REMEMBERED = 256

OnAttempt = Callable[[AttemptFolder], None]


class Reporter:
    """Follows the files of attempts living and dead until the log has all of each."""

    def __init__(self, stream: PeerClient, clock: Clock, on_reported: OnAttempt, on_zombie: OnAttempt) -> None:
        self._stream = stream
        self._clock = clock
        self._on_reported = on_reported
        self._on_zombie = on_zombie
        self._deliveries: dict[str, Delivery] = {}
        self._done: dict[str, Progress] = {}
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self.bell = Bell()

    def follow(self, folder: AttemptFolder) -> None:
        """Report this attempt from now on; safe from any thread."""
        if not folder.reported.exists():
            self._deliveries.setdefault(folder.attempt_id, Delivery(folder, self._stream)).bell.ring()
        self.bell.ring()

    def is_empty(self) -> bool:
        """Whether everything known was reported."""
        return not self._deliveries

    @property
    def open_attempts(self) -> int:
        """Attempts whose events are not all in the log."""
        return len(self._deliveries)

    def lag_s(self) -> float:
        """Age of the oldest event that was read and is not in the log."""
        waiting = [since for delivery in list(self._deliveries.values()) if (since := delivery.tail.waiting_since)]
        return max(0.0, (self._clock.now() - min(waiting)).total_seconds()) if waiting else 0.0

    def progress(self, folder: AttemptFolder) -> Progress:
        """The newest figures of an attempt; an ended one's log is read to its end, which blocks once."""
        delivery = self._deliveries.get(folder.attempt_id)
        if delivery is not None and not folder.exit.exists():
            return delivery.tail.progress
        if folder.attempt_id not in self._done:
            tail = Tail(folder)
            tail.acknowledge(1 << 60)
            before = -1
            while tail.position != before:
                before = tail.position
                tail.fill()
            self._remember(folder.attempt_id, tail.progress)
        return self._done[folder.attempt_id]

    def _remember(self, attempt_id: str, progress: Progress) -> None:
        if len(self._done) >= _REMEMBERED:
            self._done.pop(next(iter(self._done)))
        self._done[attempt_id] = progress

    async def run(self) -> None:
        """Report for ever: each attempt by a task of its own, so that none waits for another's answer."""
        tasks: dict[str, asyncio.Task[None]] = {}
        with Lookout() as lookout:
            try:
                while True:
                    for attempt_id, delivery in list(self._deliveries.items()):
                        if attempt_id not in tasks:
                            tasks[attempt_id] = asyncio.create_task(self._report(delivery, lookout), name=attempt_id)
                    await self.bell.wait(_IDLE_S)
                    for attempt_id in [attempt_id for attempt_id, task in tasks.items() if task.done()]:
                        _note_fault(tasks.pop(attempt_id))
            finally:
                await end_tasks(tasks.values())

    async def _report(self, delivery: Delivery, lookout: Lookout) -> None:
        events = delivery.tail.folder.events
        lookout.watch(events, delivery.bell.ring)
        try:
            await delivery.deliver(self._turns)
        finally:
            lookout.forget(events)
        await in_thread(self._finish, delivery)

    def _finish(self, delivery: Delivery) -> None:
        folder = delivery.tail.folder
        folder.reported.touch()
        self._remember(folder.attempt_id, delivery.tail.progress)
        self._deliveries.pop(folder.attempt_id, None)
        self._on_reported(folder)
        if delivery.is_sealed and not folder.exit.exists():
            self._on_zombie(folder)


def _note_fault(task: asyncio.Task[None]) -> None:
    """A delivery that failed starts again at the next turn, and holds up no other."""
    if not task.cancelled() and (fault := task.exception()):
        logger.opt(exception=fault).error("the delivery of {} failed; it starts again", task.get_name())
