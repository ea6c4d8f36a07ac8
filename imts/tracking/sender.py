"""The thread that sends while the trainer trains."""

import logging
import threading

from imts.client.errors import ClientError
from imts.tracking.sending import Delivery, LogIsClosed

_LINGER_S = 0.04
"""Events that come within this time go together: a request costs the trainer's interpreter about a millisecond."""
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
logger = logging.getLogger("imts.tracking")


class Sender:
    """Sends at the pace of the log; a log that is away costs nothing but its journal's place on disk."""

    def __init__(self, run_id: str, delivery: Delivery) -> None:
        self._run_id = run_id
        self._delivery = delivery
        self._rung = threading.Event()
        self._closing = threading.Event()
        self._abandoned = threading.Event()
        self._pause_s = _FIRST_PAUSE_S
        self.has_sent_all = False
        self._thread = threading.Thread(target=self._run, name=f"imts-sender-{run_id}", daemon=True)
        self._thread.start()

    def ring(self) -> None:
        """There is more."""
        # Asking is a tenth of the cost of setting.
        if not self._rung.is_set():
            self._rung.set()

    def close(self, within_s: float) -> bool:
        """Send the rest, for at most this long; whether the log has everything."""
        self._closing.set()
        self._rung.set()
        self._thread.join(within_s)
        self._abandoned.set()
        return self.has_sent_all

    def _run(self) -> None:
        while not (self.has_sent_all or self._abandoned.is_set()):
            self._rung.wait()
            self._closing.wait(_LINGER_S)
            self._rung.clear()
            is_closing = self._closing.is_set()
            try:
                while self._delivery.step():
                    pass
            except LogIsClosed:
                logger.warning("the log of %s has ended; what is logged now stays unsent", self._run_id)
                self.has_sent_all = True
            except (ClientError, OSError) as fault:
                self._back_off(fault)
            else:
                self._pause_s = _FIRST_PAUSE_S
                self.has_sent_all = is_closing
        self._delivery.close()

    def _back_off(self, fault: Exception) -> None:
        if self._pause_s == _FIRST_PAUSE_S:
            logger.warning("events of %s wait on this machine: %s", self._run_id, fault)
        self._rung.set()
        if self._closing.is_set():
            self._abandoned.wait(_FIRST_PAUSE_S)
        else:
            self._closing.wait(self._pause_s)
        self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
