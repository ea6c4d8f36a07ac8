"""What this machine, or the container on it, has to promise to attempts."""

import os
import re
from pathlib import Path

from shared.contracts.work import Resources
from shared.worker.settings import WorkerSettings

_GPU = re.compile(r"nvidia\d+")
_CGROUP_LIMITS = ("memory.max", "memory/memory.limit_in_bytes")


def count_gpus(devices: Path = Path("/dev")) -> int:
    """GPUs that processes here can open; no driver is asked, which would take memory on each of them."""
    return sum(_GPU.fullmatch(entry.name) is not None for entry in devices.iterdir())


def memory_bytes(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Memory that processes here may use together."""
    most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for name in _CGROUP_LIMITS:
        try:
            limit = (cgroup / name).read_text().strip()
        except OSError:
            continue
        if limit.isdigit():
            most = min(most, int(limit))
    return most


def resources_of(settings: WorkerSettings, accelerators: int) -> Resources:
    """Everything that this worker's attempts may take together; `accelerators` are the machine's."""
    return Resources(
        slots=settings.slots,
        gpus=accelerators if settings.gpus is None else settings.gpus,
        memory_gb=round(memory_bytes() / 1e9, 3) if settings.memory_gb is None else settings.memory_gb,
    )
