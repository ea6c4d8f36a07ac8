"""Which worker takes a job: pure, and the same for the same facts."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from shared.contracts.work import Capacity, Resources


@dataclass(frozen=True, slots=True)
class Room:
    """What of a worker can be taken."""

    slots: int = 0
    gpus: int = 0
    memory_gb: float = 0.0

    def fits(self, wanted: Resources) -> bool:
        """Whether an attempt of this size finds room."""
        return not self.lacks(wanted)

    def lacks(self, wanted: Resources) -> list[str]:
        """What there is too little of, by name."""
        pairs = {
            "slots": (self.slots, wanted.slots),
            "gpus": (self.gpus, wanted.gpus),
            "memory": (self.memory_gb, wanted.memory_gb),
        }
        return [name for name, (has, needs) in pairs.items() if needs > has]

    def without(self, taken: Resources) -> "Room":
        """What is left beside an attempt of this size."""
        return Room(self.slots - taken.slots, self.gpus - taken.gpus, self.memory_gb - taken.memory_gb)


@dataclass(frozen=True, slots=True)
class Offer:
    """A worker as the queue sees it; one that is away offers nothing."""

    worker: str
    room: Room = Room()
    whole: Room = Room()
    """When nothing runs."""
    spares: int = 0

    def after(self, taken: Resources) -> "Offer":
        """The offer once an attempt of this size was promised."""
        return replace(self, room=self.room.without(taken), spares=max(self.spares - 1, 0))


def offer_of(worker: str, capacity: Capacity, promised: Iterable[Resources] = ()) -> Offer:
    """What a worker's answer offers, less what was promised to attempts that it does not know of yet."""
    if capacity.draining:
        return Offer(worker)
    offer = Offer(
        worker, Room(capacity.free, capacity.free_gpus, capacity.free_memory_gb),
        Room(capacity.slots, capacity.gpus, capacity.memory_gb), capacity.spares,
    )  # fmt: skip
    for taken in promised:
        offer = offer.after(taken)
    return offer


def choose(offers: Iterable[Offer], wanted: Resources) -> Offer | None:
    """The worker to start on: fewest GPUs left idle, then a warm process, then the most free slots."""
    fitting = [offer for offer in offers if offer.room.fits(wanted)]
    return min(
        fitting,
        key=lambda offer: (offer.room.gpus - wanted.gpus, not offer.spares, -offer.room.slots, offer.worker),
        default=None,
    )


def nearest(offers: Iterable[Offer], wanted: Resources) -> Offer | None:
    """The worker that is to be kept free for a job too big for now: the one that lacks least."""
    able = [offer for offer in offers if offer.whole.fits(wanted)]
    return min(
        able,
        key=lambda offer: (
            max(wanted.gpus - offer.room.gpus, 0), max(wanted.slots - offer.room.slots, 0),
            max(wanted.memory_gb - offer.room.memory_gb, 0.0), offer.worker,
        ),
        default=None,
    )  # fmt: skip
