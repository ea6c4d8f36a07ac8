"""The event log in memory, with its rules: no hole, no repeat, nothing past the seal."""

from collections import defaultdict

from shared.contracts.events import AppendRequest, Event, EventPage, NewEvent, ProducerMark
from shared.contracts.jobs import PeerState
from shared.kit.errors import NotFound, PeerUnavailable, ProducerSealed, SequenceGap


class FakeStream:
    """`StreamPeer`; what it accepted survives its silence."""

    def __init__(self) -> None:
        self.events_of: dict[str, list[NewEvent]] = defaultdict(list)
        self.marks: dict[tuple[str, str], ProducerMark] = {}
        self.is_silent = False
        self.loses_answers = False
        self.blocked_topics: set[str] = set()
        self.appends = 0
        self.removed: list[str] = []

    async def state(self) -> PeerState:
        return PeerState(name="stream", url="memory:", is_ready=not self.is_silent, version="0")

    def _answer(self) -> None:
        if self.is_silent or self.loses_answers:
            raise PeerUnavailable("stream did not answer")

    def _check_is_there(self, topic: str) -> None:
        if topic in self.removed:
            raise ProducerSealed("the log was deleted", details={"is_deleted": True})

    def mark(self, topic: str, producer: str) -> ProducerMark:
        """How far a producer is."""
        return self.marks.get((topic, producer), ProducerMark(producer=producer))

    async def append(self, topic: str, request: AppendRequest) -> ProducerMark:
        if self.is_silent:
            self._answer()
        self._check_is_there(topic)
        self.appends += 1
        mark = self.mark(topic, request.producer)
        if request.first_seq > mark.accepted_through + 1:
            raise SequenceGap("there is a hole", details={"expected": mark.accepted_through + 1})
        through = request.first_seq + len(request.events) - 1
        if mark.sealed_at is not None and through > mark.sealed_at:
            raise ProducerSealed("this producer is sealed")
        self.events_of[topic] += request.events[mark.accepted_through + 1 - request.first_seq :]
        self.marks[topic, request.producer] = mark.model_copy(
            update={"accepted_through": max(through, mark.accepted_through)}
        )
        self._answer()
        return self.marks[topic, request.producer]

    async def seal(self, topic: str, producer: str, at: int) -> ProducerMark:
        self._answer()
        self._check_is_there(topic)
        mark = self.mark(topic, producer)
        if mark.sealed_at is None:
            mark = mark.model_copy(update={"sealed_at": max(at, mark.accepted_through)})
            self.marks[topic, producer] = mark
        return mark

    async def events(self, topic: str, after: int, limit: int) -> EventPage:
        self._answer()
        if topic in self.removed:
            raise NotFound("the log was deleted", code="topic_deleted")
        told = self.events_of[topic]
        shown = told[after : after + limit]
        return EventPage(
            data=[
                Event(seq=after + place, event_type=item.event_type, timestamp=item.timestamp, data=item.data)
                for place, item in enumerate(shown, start=1)
            ],
            has_more=len(told) > after + limit,
        )

    async def remove(self, topic: str) -> None:
        if self.is_silent:
            self._answer()
        self.events_of.pop(topic, None)
        self.removed.append(topic)
        self._answer()

    def phases(self, job_id: str) -> list[str]:
        """The phases that the log tells of, in order."""
        return [str(event.data["to"]) for event in self.events_of[f"job:{job_id}"] if "to" in event.data]
