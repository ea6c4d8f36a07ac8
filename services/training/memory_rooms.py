"""The kinds of memory that a training may fill: how much of each it held at most, and how much there is."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from shared.contracts.failures import Reason

GB = 10**9
STATUS = Path("/proc/self/status")
_FORGET_PEAK = "5"


@dataclass(frozen=True, slots=True)
class MemoryRoom:
    """One kind; both figures in bytes."""

    name: str
    guard_at: float
    """The share of what there is at which the guard acts."""
    forget: Callable[[], None]
    """Begin to measure anew."""
    peak: Callable[[], int]
    """The highest since then."""
    limit: Callable[[], int]
    reason: Reason
    """Of a run that needs more with one row at a time."""
    advice: str


def host_room(limit_gb: float, guard_at: float) -> MemoryRoom:
    """What the kernel says of this process, beside a limit that the job has."""
    return MemoryRoom(
        "host", guard_at, _forget_host, lambda: sizes().get("VmHWM", 0), lambda: int(limit_gb * GB),
        Reason.OUT_OF_MEMORY_HOST, "lower cutoffLen or loraRank, or raise memoryLimitGb",
    )  # fmt: skip


def gpu_room(guard_at: float) -> MemoryRoom:
    """What tensors take of this process's GPU, beside all that other processes leave of it."""
    return MemoryRoom(
        "gpu", guard_at, torch.cuda.reset_peak_memory_stats, torch.cuda.max_memory_allocated, _left_of_gpu,
        Reason.OUT_OF_MEMORY_GPU, "lower cutoffLen or loraRank, or set quantizationBit",
    )  # fmt: skip


def sizes() -> dict[str, int]:
    """What the kernel says of this process's memory, in bytes."""
    fields = (line.split() for line in STATUS.read_text().splitlines() if line.startswith("Vm"))
    return {name.rstrip(":"): int(value) * 1024 for name, value, *_ in fields}


def _forget_host() -> None:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text(_FORGET_PEAK)


def _left_of_gpu() -> int:
    free, _ = torch.cuda.mem_get_info()
    return int(free + torch.cuda.memory_reserved())
