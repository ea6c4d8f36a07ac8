"""Sending one run's journal until the run has ended and the log has all of it."""

from collections.abc import Callable
from pathlib import Path

from imts.client.transport import Transport
from imts.tracking.inbox import Inbox
from imts.tracking.journal import append_for_the_dead, is_writer_alive
from imts.tracking.lines import encode
from imts.tracking.sending import Delivery, LogIsClosed
from imts.tracking.unsent import Unsent
from shared.contracts.events import RUN_FINISHED


class Sender:
    """For whoever has the turn to send this journal; nobody else may."""

    def __init__(self, path: Path, connect: Callable[[], Transport]) -> None:
        self._path = path
        self._inbox = Inbox(path)
        self._unsent = Unsent(path)
        self._delivery = Delivery(path.stem, self._unsent, connect)

    @property
    def sent(self) -> int:
        """Events that were sent."""
        return self._delivery.sent

    @property
    def was_closed(self) -> bool:
        """Whether the log ended the run before its script did: nothing that is left will ever be taken."""
        return self._delivery.is_closed

    def send(self) -> bool:
        """Send what there is; true when the run is over and its journal gone.

        ClientError, OSError: later.
        """
        try:
            if self._path.exists():
                self._inbox.collect()
                self._send_all()
                if not self._unsent.is_over and not self._end_for_the_dead():
                    return False
        except LogIsClosed:
            pass
        # In this order: a journal without an inbox is found again, an inbox without a journal is not.
        self._inbox.remove()
        self._path.unlink(missing_ok=True)
        return True

    def has_taken_over(self) -> bool:
        """Whether the run's own process is gone; everything that it wrote is on the disk then."""
        if is_writer_alive(self._path):
            return False
        self._inbox.collect()
        self._inbox.remove()
        return True

    def close(self) -> None:
        """Give connection and files back."""
        self._delivery.close()
        self._inbox.close()

    def _send_all(self) -> None:
        while self._delivery.step():
            pass

    def _end_for_the_dead(self) -> bool:
        """Close the run of a process that died without a word; false while it lives."""
        if not self.has_taken_over():
            return False
        # It may have written more before it died, and even the end.
        self._send_all()
        if not self._unsent.is_over:
            fate = {"status": "failed", "why": "its process ended without a word"}
            append_for_the_dead(self._path, encode(RUN_FINISHED, fate))
            self._send_all()
        return True
