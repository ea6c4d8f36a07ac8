"""How much memory this process holds, on the host and on the GPU."""

import os

import torch

_PAGE_GIB = os.sysconf("SC_PAGE_SIZE") / 2**30
_EVERY_S = 1.0
"""A look costs a tenth of a millisecond between two steps, when nothing of it is in the processor's cache."""


class MemoryGauge:
    """Looks at most once a second, however often it is read."""

    def __init__(self) -> None:
        self._has_gpu = torch.cuda.is_available()
        self._looked_at = float("-inf")
        self._figures: dict[str, float] = {}

    def read(self, now: float) -> dict[str, float]:
        """`memory_used`, and with a GPU `gpu_memory_used` (reserved) and `gpu_memory_total`, in GiB."""
        if now - self._looked_at >= _EVERY_S:
            self._looked_at = now
            self._figures = {"memory_used": resident_gib(), **(_gpu_gib() if self._has_gpu else {})}
        return self._figures


def resident_gib() -> float:
    """Of host memory, now."""
    with open("/proc/self/statm", "rb") as stream:
        return int(stream.read().split()[1]) * _PAGE_GIB


def _gpu_gib() -> dict[str, float]:
    total: int = torch.cuda.get_device_properties(0).total_memory
    return {"gpu_memory_used": torch.cuda.memory_reserved() / 2**30, "gpu_memory_total": total / 2**30}
