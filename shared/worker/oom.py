"""What this process's cgroup says about memory: kills so far, and the limit (standard library only)."""

import os
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


def _files(membership: str | None, version_2: str, version_1: str) -> list[Path]:
    """A file of the memory controller in this process's cgroup, then in the root: version 2, or version 1."""
    files = []
    try:
        for line in (membership or Path("/proc/self/cgroup").read_text()).splitlines():
            _, controllers, path = line.split(":", 2)
            relative = path.lstrip("/")
            if not controllers:
                files += [_ROOT / relative / version_2, _ROOT / version_2]
            elif "memory" in controllers.split(","):
                files += [_ROOT / "memory" / relative / version_1, _ROOT / "memory" / version_1]
    except (OSError, ValueError):
        return []
    return files


def read_kills(membership: str | None = None) -> int:
    """Kills counted so far; 0 where no counter can be read."""
    for file in _files(membership, "memory.events", "memory.oom_control"):
        try:
            counted = dict(line.split() for line in file.read_text().splitlines())
            return int(counted["oom_kill"])
        except (OSError, KeyError, ValueError):
            continue
    return 0


def memory_limit(membership: str | None = None) -> int | None:
    """The most memory that may be used, in bytes: the cgroup's limit or the machine's memory; None when unknown."""
    machine = _machine_bytes()
    for file in _files(membership, "memory.max", "memory.limit_in_bytes"):
        try:
            limit = int(file.read_text())
        except (OSError, ValueError):
            continue
        return limit if machine is None else min(limit, machine)
    return machine


def _machine_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None
