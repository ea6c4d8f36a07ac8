"""What this worker knows of its machine's devices, and how old that may be."""

import os
import threading
from collections.abc import Callable

from shared.contracts.devices import Device
from shared.kit.clock import Clock
from shared.worker.devices.discovery import accelerators, processor

OLD_S = 30.0
FRESH_S = 2.0
"""For a choice."""

Look = Callable[[], list[Device]]


def look_here() -> list[Device]:
    """At this machine, as this process's environment leaves it."""
    return accelerators(os.environ)


class DeviceGauge:
    """Safe from any thread; where nothing but a processor was found at first, nothing else is looked for again."""

    def __init__(self, clock: Clock, look: Look = look_here) -> None:
        self._clock = clock
        self._look = look
        self._turn = threading.Lock()
        self._found = look()
        self._looked_at = clock.monotonic()

    def accelerators(self, at_most_s: float = OLD_S) -> list[Device]:
        """All but the processor, not older than this; may take a second."""
        with self._turn:
            if self._found and self._clock.monotonic() - self._looked_at > at_most_s:
                self._found = self._look() or self._found
                self._looked_at = self._clock.monotonic()
            return list(self._found)

    def known(self) -> list[Device]:
        """All, at once, as last seen; the processor as it is now."""
        return [*self._found, processor()]
