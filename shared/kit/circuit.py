"""Remembers that a peer is silent, so that callers hear it at once instead of each waiting for a timeout."""

import time
from collections.abc import Callable

_FAULTS = 5
"""In a row, before the circuit opens."""
_PROBE_EVERY_S = 1.0
"""While it is open, one call is let through this often: a peer that is back is noticed within about a second."""


class Circuit:
    """Closed while the peer answers, whatever it says; open when it did not answer several times in a row."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._faults = 0
        self._probe_at = 0.0
        self._silent_since: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether calls are refused without being sent."""
        return self._faults >= _FAULTS

    @property
    def silent_for_s(self) -> float | None:
        """Since the first of the faults in a row; None while the peer answers."""
        return None if self._silent_since is None else self._monotonic() - self._silent_since

    def admits(self) -> bool:
        """Whether to send a call now."""
        if not self.is_open:
            return True
        now = self._monotonic()
        if now < self._probe_at:
            return False
        self._probe_at = now + _PROBE_EVERY_S
        return True

    def answered(self) -> None:
        """The peer answered."""
        self._faults = 0
        self._silent_since = None

    def failed(self) -> None:
        """The peer did not answer."""
        now = self._monotonic()
        if self._silent_since is None:
            self._silent_since = now
        self._faults += 1
        self._probe_at = now + _PROBE_EVERY_S
