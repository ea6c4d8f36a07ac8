"""Who may append which numbers: the log's promises, without any I/O."""

from dataclasses import dataclass, field
from functools import cached_property

from services.stream.log.entries import Entry
from shared.contracts.base import JsonObject
from shared.contracts.events import ProducerMark
from shared.kit.errors import ImtsError, ProducerSealed, SequenceGap

_ENTRY_BYTES = 256
"""Of an event beside its data."""


@dataclass(slots=True)
class TopicState:
    """How far a topic has come."""

    last_seq: int = 0
    is_ended: bool = False
    figures: JsonObject = field(default_factory=dict)
    project: str | None = None
    """Said by the first event that names one, and final."""
    is_deleted: bool = False
    """Retention took the log away: nothing of it comes back."""


@dataclass(slots=True)
class ProducerState:
    """How far one producer's numbering is in the log, and where it ends."""

    producer: str
    accepted_through: int = 0
    sealed_at: int | None = None
    is_new: bool = True

    @property
    def mark(self) -> ProducerMark:
        """The state as the API answers it."""
        return ProducerMark(producer=self.producer, accepted_through=self.accepted_through, sealed_at=self.sealed_at)


@dataclass(frozen=True)
class Append:
    """A run of one producer's events, the first of them numbered `first_seq`; None: with what comes next."""

    topic: str
    producer: str
    first_seq: int | None
    entries: tuple[Entry, ...]

    @cached_property
    def size(self) -> int:
        """Roughly the bytes it holds while it waits."""
        return sum([len(entry.data) for entry in self.entries], _ENTRY_BYTES * len(self.entries))


@dataclass(frozen=True, slots=True)
class Seal:
    """No event of this producer past `at`, ever."""

    topic: str
    producer: str
    at: int
    size: int = 64


Write = Append | Seal


@dataclass(frozen=True, slots=True)
class Taken:
    """What a run adds to its topic, the first of it numbered `first_number` by its producer, and why no more."""

    first_number: int = 0
    entries: tuple[Entry, ...] = ()
    fault: ImtsError | None = None


def take(topic: TopicState, producer: ProducerState, run: Append) -> Taken:
    """Decide one run and move the producer's mark: known events are dropped, up to the seal the rest is taken.

    A run that crosses the seal is taken up to it and then refused, so that the log drains even if the sender gives up.
    """
    if topic.is_deleted:
        return Taken(fault=deleted())
    sealed_at = producer.sealed_at
    accepted = producer.accepted_through
    first_seq = accepted + 1 if run.first_seq is None else run.first_seq
    last_seq = first_seq + len(run.entries) - 1
    if sealed_at is not None and first_seq > sealed_at:
        return Taken(fault=_sealed(producer))
    if first_seq > accepted + 1:
        return Taken(fault=SequenceGap(
            f"{run.producer} skipped numbers; go on with {accepted + 1}", details={"expected": accepted + 1}
        ))  # fmt: skip
    through = last_seq if sealed_at is None else min(last_seq, sealed_at)
    if topic.is_ended and through > accepted:
        return Taken(fault=_ended(producer))
    fresh = run.entries[accepted + 1 - first_seq : through + 1 - first_seq]
    producer.accepted_through = max(accepted, through)
    return Taken(accepted + 1, fresh, _sealed(producer) if last_seq > through else None)


def seal(producer: ProducerState, at: int) -> None:
    """End a producer's numbering at `at`; the first seal stays, and never lies before what the log already has."""
    if producer.sealed_at is None:
        producer.sealed_at = max(at, producer.accepted_through)


def deleted() -> ProducerSealed:
    """What a log that was taken away has to say to whoever writes."""
    return ProducerSealed(
        "the log was deleted, with its job or under its project's retention policy; nothing more is accepted",
        details={"is_ended": True, "is_deleted": True},
    )


def _sealed(producer: ProducerState) -> ProducerSealed:
    return ProducerSealed(
        f"{producer.producer} is sealed: it is no longer the one that runs, nothing more of it is accepted",
        details={"sealed_at": producer.sealed_at, "accepted_through": producer.accepted_through},
    )


def _ended(producer: ProducerState) -> ProducerSealed:
    return ProducerSealed(
        "the topic has ended: its job is in a terminal phase and nothing follows",
        details={"sealed_at": producer.sealed_at, "accepted_through": producer.accepted_through, "is_ended": True},
    )
