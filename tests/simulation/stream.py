"""The event log in memory: the service's own rules of numbering, and answers that get lost."""

from collections import defaultdict
from dataclasses import dataclass, field

from services.stream.log.entries import Entry
from services.stream.log.numbering import Append, ProducerState, TopicState, seal, take
from shared.contracts.events import AppendRequest, EventPage, NewEvent, ProducerMark, job_topic
from shared.contracts.jobs import TERMINAL, PeerState
from shared.kit.errors import PeerUnavailable
from tests.simulation.chance import Chance
from tests.simulation.invariants import require
from tests.simulation.loop import RUNNING_IN


@dataclass(slots=True)
class Topic:
    """One log: who wrote what, in order."""

    state: TopicState = field(default_factory=TopicState)
    producers: dict[str, ProducerState] = field(default_factory=dict)
    lines: list[tuple[str, int, str]] = field(default_factory=list)
    """Producer, its number, and the phase told (empty for an attempt's events)."""


class SimulatedStream:
    """`StreamPeer`."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self.topics: dict[str, Topic] = defaultdict(Topic)
        self.is_down = False

    def has_heard(self, job_id: str, producer: str) -> bool:
        """Whether events of this producer are in the log."""
        known = self.topics[job_topic(job_id)].producers.get(producer)
        return known is not None and known.accepted_through > 0

    async def _hear(self) -> None:
        await RUNNING_IN.get().breathe()
        if self.is_down or self._chance.strikes(self._chance.faults.request_lost):
            raise PeerUnavailable("the stream does not answer")

    async def _answer(self) -> None:
        if self.is_down or self._chance.strikes(self._chance.faults.answer_lost):
            raise PeerUnavailable("the stream's answer is lost")
        await RUNNING_IN.get().breathe()

    async def state(self) -> PeerState:
        return PeerState(name="stream", url="memory:", is_ready=not self.is_down, version="0")

    async def append(self, topic: str, request: AppendRequest) -> ProducerMark:
        await self._hear()
        entries = tuple(_entry(event) for event in request.events)
        phases = [str(event.data.get("to", "")) for event in request.events]
        mark = self._take(topic, Append(topic, request.producer, request.first_seq, entries), phases)
        await self._answer()
        return mark

    def _take(self, topic: str, run: Append, phases: list[str]) -> ProducerMark:
        log = self.topics[topic]
        producer = log.producers.setdefault(run.producer, ProducerState(run.producer))
        taken = take(log.state, producer, run)
        assert run.first_seq is not None
        for number, entry in enumerate(taken.entries, taken.first_number):
            require(not log.state.is_ended, "something follows the terminal event")
            log.state.last_seq += 1
            log.state.is_ended = entry.ends_topic
            log.lines.append((run.producer, number, phases[number - run.first_seq]))
        if taken.fault is not None:
            raise taken.fault
        return producer.mark

    async def seal(self, topic: str, producer: str, at: int) -> ProducerMark:
        await self._hear()
        state = self.topics[topic].producers.setdefault(producer, ProducerState(producer))
        seal(state, at)
        await self._answer()
        return state.mark

    async def events(self, topic: str, after: int, limit: int) -> EventPage:
        raise NotImplementedError("no loop reads the log")

    async def remove(self, topic: str) -> None:
        raise NotImplementedError("nothing simulated deletes")


def _entry(event: NewEvent) -> Entry:
    ends = event.data.get("to") in TERMINAL
    return Entry(event.event_type, event.attempt, None, event.timestamp, "{}", ends, None)
