"""Sends what engines wrote to the event log: at least once, in order, from where the log says it is."""

from collections.abc import Callable
from urllib.parse import quote

from shared.contracts.events import MAX_BATCH, AppendRequest, ProducerMark, job_topic
from shared.contracts.work import Progress
from shared.kit.bell import Bell
from shared.kit.clock import Clock
from shared.kit.errors import ImtsError, InvalidRequest, NotFound, ProducerSealed, SequenceGap
from shared.kit.logs import logger
from shared.kit.peer import PeerClient
from shared.kit.tasks import in_thread
from shared.worker.folder import AttemptFolder
from shared.worker.tail import Tail

_ACTIVE_S = 0.02
_IDLE_S = 1.0
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
_REMEMBERED = 256

OnAttempt = Callable[[AttemptFolder], None]


class Delivery:
    """One attempt's events on their way to the log."""

    def __init__(self, folder: AttemptFolder) -> None:
        self.tail = Tail(folder)
        self.topic = quote(job_topic(folder.job_id), safe=":")
        self.producer = folder.attempt_id
        self.knows_mark = False
        self.careful_through = 0
        """Events up to this number are sent one by one, to find the one that is refused."""
        self.not_before = 0.0
        self.pause_s = _FIRST_PAUSE_S

    def next_request(self) -> AppendRequest | None:
        """What to send now."""
        first = self.tail.acknowledged + 1
        events = self.tail.batch(1 if first <= self.careful_through else MAX_BATCH)
        return AppendRequest(producer=self.producer, first_seq=first, events=events) if events else None


class Reporter:
    """Follows the files of attempts living and dead until the log has all of each."""

    def __init__(self, stream: PeerClient, clock: Clock, on_reported: OnAttempt, on_zombie: OnAttempt) -> None:
        self._stream = stream
        self._clock = clock
        self._on_reported = on_reported
        self._on_zombie = on_zombie
        self._deliveries: dict[str, Delivery] = {}
        self._done: dict[str, Progress] = {}
        self.bell = Bell()

    def follow(self, folder: AttemptFolder) -> None:
        """Report this attempt from now on; safe from any thread."""
        if not folder.reported.exists():
            self._deliveries.setdefault(folder.attempt_id, Delivery(folder))
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
        """Report for ever."""
        while True:
            has_more = await self.report_once()
            if not has_more:
                await self.bell.wait(_ACTIVE_S if self._deliveries else _IDLE_S)

    async def report_once(self) -> bool:
        """One batch of every attempt that has news; whether any of them has more."""
        now = self._clock.monotonic()
        due = [delivery for delivery in list(self._deliveries.values()) if delivery.not_before <= now]
        if not due:
            return False
        await in_thread(_fill_all, due)
        sent = [await self._advance(delivery) for delivery in due]
        return any(sent)

    async def _advance(self, delivery: Delivery) -> bool:
        """Send one batch; whether something was sent."""
        try:
            if not delivery.knows_mark:
                await self._ask_mark(delivery)
            request = delivery.next_request()
            if request is None:
                await in_thread(self._close_if_complete, delivery)
                return False
            await self._send(delivery, request)
        except ImtsError as fault:
            self._back_off(delivery, fault)
            return False
        delivery.pause_s = _FIRST_PAUSE_S
        return True

    async def _ask_mark(self, delivery: Delivery) -> None:
        path = f"/v1/topics/{delivery.topic}/producers/{delivery.producer}"
        try:
            mark = await self._stream.call("GET", path, ProducerMark)
        except NotFound:
            mark = ProducerMark(producer=delivery.producer)
        delivery.tail.acknowledge(mark.accepted_through)
        delivery.knows_mark = True

    async def _send(self, delivery: Delivery, request: AppendRequest) -> None:
        path = f"/v1/topics/{delivery.topic}/events"
        try:
            mark = await self._stream.call("POST", path, ProducerMark, body=request)
        except SequenceGap:
            delivery.knows_mark = False
            raise
        except ProducerSealed:
            await in_thread(self._give_up, delivery)
        except InvalidRequest as fault:
            logger.warning("the log refuses events of {}: {}", delivery.producer, fault.message)
            if len(request.events) == 1 and not delivery.tail.replace_next():
                raise
            delivery.careful_through = max(delivery.careful_through, request.first_seq + len(request.events) - 1)
        else:
            delivery.tail.acknowledge(mark.accepted_through)

    def _back_off(self, delivery: Delivery, fault: ImtsError) -> None:
        if delivery.pause_s >= _LONGEST_PAUSE_S:
            logger.warning("events of {} wait: {}", delivery.producer, fault.message)
        delivery.not_before = self._clock.monotonic() + delivery.pause_s
        delivery.pause_s = min(delivery.pause_s * 2, _LONGEST_PAUSE_S)

    def _close_if_complete(self, delivery: Delivery) -> None:
        """Nothing follows once the exit report is there and the file was read to its end after that."""
        folder = delivery.tail.folder
        if not folder.exit.exists():
            return
        delivery.tail.fill()
        if not delivery.tail.batch():
            self._finish(delivery)

    def _give_up(self, delivery: Delivery) -> None:
        """The log was closed for this attempt: another one took its place."""
        folder = delivery.tail.folder
        logger.warning("the log of {} is sealed; what follows is dropped", delivery.producer)
        self._finish(delivery)
        if not folder.exit.exists():
            self._on_zombie(folder)

    def _finish(self, delivery: Delivery) -> None:
        folder = delivery.tail.folder
        folder.reported.touch()
        self._remember(folder.attempt_id, delivery.tail.progress)
        self._deliveries.pop(folder.attempt_id, None)
        self._on_reported(folder)


def _fill_all(deliveries: list[Delivery]) -> None:
    for delivery in deliveries:
        delivery.tail.fill()
