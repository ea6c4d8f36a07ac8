"""Carries events from the outbox to the log: per topic in order, the terminal one only after its attempts drained."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import groupby

from orchestrator.domain.job import Attempt, OutboxEvent
from orchestrator.domain.peers import Peers
from orchestrator.domain.ports import UnitOfWork, UnitsOfWork
from orchestrator.reconciler.draining import Gap, find_gaps
from shared.contracts.events import ATTEMPT_LOG_INCOMPLETE, AppendRequest, NewEvent
from shared.kit.bell import Bell
from shared.kit.clock import Clock
from shared.kit.errors import ImtsError, SequenceGap
from shared.kit.logs import logger
from shared.kit.tasks import in_thread

PRODUCER = "orchestrator"
_TOPICS = 64
_EVENTS = 512
_AT_ONCE = 4
"""Topics sent side by side; more would take the processor from requests."""
_REST = 4.0
"""A backlog leaves four fifths of the time to requests."""
_IDLE_S = 5.0
_FIRST_DELAY_S = 0.1
_LAST_DELAY_S = 5.0


@dataclass(frozen=True, slots=True)
class Parcel:
    """A topic's unsent events, and its attempts when an event must wait for them to drain."""

    topic: str
    events: list[OutboxEvent]
    attempts: list[Attempt] = field(default_factory=list)
    told: frozenset[int] = frozenset()
    """Attempts whose gap is told already."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a parcel."""

    topic: str
    through: int = 0
    """Events up to this number are in the log."""
    reopen_from: int | None = None
    is_held_up: bool = False
    is_stream_away: bool = False
    gaps: Sequence[OutboxEvent] = ()
    """To be told before the last event."""


def _request(events: list[OutboxEvent]) -> AppendRequest:
    return AppendRequest(
        producer=PRODUCER, first_seq=events[0].producer_seq,
        events=[
            NewEvent(event_type=item.event_type, timestamp=item.timestamp, attempt=item.attempt, data=item.data)
            for item in events
        ],
    )  # fmt: skip


class Relay:
    """One replica's relay; two sending the same event are harmless, because events are numbered."""

    def __init__(self, units: UnitsOfWork, peers: Peers, clock: Clock, bell: Bell) -> None:
        self._units = units
        self._peers = peers
        self._stream = peers.stream
        self._clock = clock
        self._bell = bell
        self._delays: dict[str, float] = {}
        self._outage_s = 0.0

    async def run(self) -> None:
        """For ever."""
        while True:
            began = self._clock.monotonic()
            more = await self.turn()
            if self._outage_s:
                await asyncio.sleep(self._outage_s)
            elif more:
                await asyncio.sleep(min((self._clock.monotonic() - began) * _REST, _LAST_DELAY_S))
            else:
                await self._bell.wait(_IDLE_S)

    async def turn(self) -> bool:
        """Send what is due; whether there is more to send at once."""
        parcels = await in_thread(self._units.read, self._read)
        if not parcels:
            return False
        gate = asyncio.Semaphore(_AT_ONCE)
        deliveries = await asyncio.gather(*(self._deliver(gate, parcel) for parcel in parcels))
        await in_thread(self._units.write, lambda uow: self._record(uow, deliveries))
        self._note(deliveries)
        return len(parcels) == _TOPICS and not self._outage_s

    def _read(self, uow: UnitOfWork) -> list[Parcel]:
        topics = uow.outbox.due_topics(self._clock.now(), _TOPICS)
        if not topics:
            return []
        parcels = []
        for topic, grouped in groupby(uow.outbox.unsent(topics, _EVENTS), key=lambda event: event.topic):
            events = list(grouped)
            waits = any(event.after_drain for event in events)
            attempts = uow.attempts.of_job(topic.removeprefix("job:")) if waits else []
            told = uow.outbox.told_incomplete(topic) if waits else ()
            parcels.append(Parcel(topic, events, attempts, frozenset(told)))
        return parcels

    async def _deliver(self, gate: asyncio.Semaphore, parcel: Parcel) -> Delivery:
        free = [event for event in parcel.events if not event.after_drain]
        last = [event for event in parcel.events if event.after_drain]
        through = 0
        async with gate:
            try:
                if free:
                    through = (await self._stream.append(parcel.topic, _request(free))).accepted_through
                if last:
                    gaps = await find_gaps(self._peers, parcel.attempts)
                    if gaps is None:
                        return Delivery(parcel.topic, through, is_held_up=True)
                    if untold := [gap for gap in gaps if gap.attempt not in parcel.told]:
                        return Delivery(parcel.topic, through, gaps=[self._event(last[0], gap) for gap in untold])
                    through = (await self._stream.append(parcel.topic, _request(last))).accepted_through
            except SequenceGap as fault:
                return self._on_gap(parcel, through, fault)
            except ImtsError as fault:
                logger.warning("the stream does not take events of {}: {}", parcel.topic, fault.message)
                return Delivery(parcel.topic, through, is_held_up=True, is_stream_away=fault.status >= 500)
        return Delivery(parcel.topic, through)

    def _event(self, last: OutboxEvent, gap: Gap) -> OutboxEvent:
        logger.warning("attempt {} of {} told nothing from {} on", gap.attempt, last.topic, gap.first_missing)
        return replace(
            last, event_type=ATTEMPT_LOG_INCOMPLETE, timestamp=self._clock.now(), attempt=gap.attempt,
            data={"attempt": gap.attempt, "from": gap.first_missing}, after_drain=False,
        )  # fmt: skip

    def _on_gap(self, parcel: Parcel, through: int, fault: SequenceGap) -> Delivery:
        expected = (fault.details or {}).get("expected")
        logger.warning("the log of {} lacks events before its newest: sending again from {}", parcel.topic, expected)
        first = expected if isinstance(expected, int) else None
        return Delivery(parcel.topic, through, reopen_from=first, is_held_up=True)

    def _record(self, uow: UnitOfWork, deliveries: list[Delivery]) -> None:
        now = self._clock.now()
        arrived = sorted((delivery.through, delivery.topic) for delivery in deliveries if delivery.through)
        for through, topics in groupby(arrived, key=lambda pair: pair[0]):
            uow.outbox.mark_sent([topic for _, topic in topics], through, now)
        for delivery in deliveries:
            if delivery.reopen_from is not None:
                uow.outbox.reopen(delivery.topic, delivery.reopen_from)
            if delivery.gaps:
                uow.outbox.put_before_last(delivery.topic, delivery.gaps)
            if delivery.is_held_up and not delivery.is_stream_away:
                uow.outbox.postpone(delivery.topic, now + timedelta(seconds=self._delay(delivery.topic)))

    def _delay(self, topic: str) -> float:
        return self._delays.get(topic, _FIRST_DELAY_S)

    def _note(self, deliveries: list[Delivery]) -> None:
        """Remember how long to leave held-up topics, and the stream when it is away, alone."""
        if any(delivery.gaps for delivery in deliveries):
            self._bell.ring()
        for delivery in deliveries:
            if delivery.is_held_up and not delivery.is_stream_away:
                delay = self._delay(delivery.topic)
                asyncio.get_running_loop().call_later(delay, self._bell.ring)
                self._delays[delivery.topic] = min(delay * 2, _LAST_DELAY_S)
            else:
                self._delays.pop(delivery.topic, None)
        is_away = any(delivery.is_stream_away for delivery in deliveries)
        self._outage_s = min(max(self._outage_s * 2, _FIRST_DELAY_S), _LAST_DELAY_S) if is_away else 0.0
