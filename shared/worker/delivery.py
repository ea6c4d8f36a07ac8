"""One attempt's events on their way to the log: at least once, in order, from where the log says it is."""

import asyncio
from urllib.parse import quote

from shared.contracts.events import MAX_BATCH, AppendRequest, ProducerMark, job_topic
from shared.kit.bell import Bell
from shared.kit.errors import ImtsError, InvalidRequest, NotFound, ProducerSealed, SequenceGap
from shared.kit.logs import logger
from shared.kit.peer import PeerClient
from shared.kit.tasks import in_thread
from shared.worker.folder import AttemptFolder
from shared.worker.tail import Tail

_QUIET_S = 1.0
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0


class Delivery:
    """Sends at once when there is news; what is written while a request is in flight goes together in the next."""

    def __init__(self, folder: AttemptFolder, stream: PeerClient) -> None:
        self.tail = Tail(folder)
        self.bell = Bell()
        """Rung when the attempt has written something, or has ended."""
        self.is_sealed = False
        """The log takes nothing more: another attempt took the place of this one."""
        self._stream = stream
        self._topic = quote(job_topic(folder.job_id), safe=":")
        self._producer = folder.attempt_id
        self._knows_mark = False
        self._careful_through = 0
        """Events up to this number are sent one by one, to find the one that is refused."""
        self._pause_s = _FIRST_PAUSE_S

    async def deliver(self, turns: asyncio.Semaphore) -> None:
        """Until the log has all of the attempt, or will never take the rest; each request waits for a turn."""
        while not self.is_sealed:
            await in_thread(self.tail.fill)
            try:
                has_sent = await self._send_next(turns)
            except ImtsError as fault:
                await self._back_off(fault)
                continue
            self._pause_s = _FIRST_PAUSE_S
            if has_sent:
                continue
            if await in_thread(self._is_complete):
                return
            await self.bell.wait(_QUIET_S)

    def _is_complete(self) -> bool:
        """Nothing follows once the exit report is there and the file was read to its end after that."""
        if not self.tail.folder.exit.exists():
            return False
        self.tail.fill()
        return not self.tail.batch()

    async def _send_next(self, turns: asyncio.Semaphore) -> bool:
        """Send one batch; whether there was one."""
        async with turns:
            if not self._knows_mark:
                await self._ask_mark()
            request = self._next_request()
            if request is not None:
                await self._send(request)
        return request is not None

    def _next_request(self) -> AppendRequest | None:
        first = self.tail.acknowledged + 1
        events = self.tail.batch(1 if first <= self._careful_through else MAX_BATCH)
        return AppendRequest(producer=self._producer, first_seq=first, events=events) if events else None

    async def _ask_mark(self) -> None:
        path = f"/v1/topics/{self._topic}/producers/{self._producer}"
        try:
            mark = await self._stream.call("GET", path, ProducerMark)
        except NotFound:
            mark = ProducerMark(producer=self._producer)
        self.tail.acknowledge(mark.accepted_through)
        self._knows_mark = True

    async def _send(self, request: AppendRequest) -> None:
        path = f"/v1/topics/{self._topic}/events"
        try:
            mark = await self._stream.call("POST", path, ProducerMark, body=request)
        except SequenceGap:
            self._knows_mark = False
            raise
        except ProducerSealed:
            logger.warning("the log of {} is sealed; what follows is dropped", self._producer)
            self.is_sealed = True
        except InvalidRequest as fault:
            logger.warning("the log refuses events of {}: {}", self._producer, fault.message)
            if len(request.events) == 1 and not self.tail.replace_next():
                raise
            self._careful_through = max(self._careful_through, request.first_seq + len(request.events) - 1)
        else:
            self.tail.acknowledge(mark.accepted_through)

    async def _back_off(self, fault: ImtsError) -> None:
        if self._pause_s >= _LONGEST_PAUSE_S:
            logger.warning("events of {} wait: {}", self._producer, fault.message)
        await asyncio.sleep(self._pause_s)
        self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
