"""Wakes the background loops from any thread."""

from shared.kit.bell import Bell


class Bells:
    """`Signals` for the loops of this process."""

    def __init__(self) -> None:
        self.reconciler = Bell()
        self.outbox = Bell()
        self.courier = Bell()
        self.deletions = Bell()

    def job_changed(self, job_id: str) -> None:
        """The reconciler finds the job by its row; the id is for readers of traces."""
        del job_id
        self.reconciler.ring()

    def job_deleted(self) -> None:
        self.deletions.ring()

    def outbox_grew(self) -> None:
        self.outbox.ring()
        self.courier.ring()
