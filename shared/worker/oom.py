"""How often the kernel's out-of-memory killer struck in this process's cgroup (standard library only)."""

from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


def _counter_files(membership: str) -> list[Path]:
    """`/proc/self/cgroup` to the files that count: version 2, and version 1's memory controller."""
    files = []
    for line in membership.splitlines():
        _, controllers, path = line.split(":", 2)
        relative = path.lstrip("/")
        if not controllers:
            files.append(_ROOT / relative / "memory.events")
            files.append(_ROOT / "memory.events")
        elif "memory" in controllers.split(","):
            files.append(_ROOT / "memory" / relative / "memory.oom_control")
            files.append(_ROOT / "memory" / "memory.oom_control")
    return files


def read_kills(membership: str | None = None) -> int:
    """Kills counted so far; 0 where no counter can be read."""
    try:
        files = _counter_files(membership or Path("/proc/self/cgroup").read_text())
    except (OSError, ValueError):
        return 0
    for file in files:
        try:
            counted = dict(line.split() for line in file.read_text().splitlines())
            return int(counted["oom_kill"])
        except (OSError, KeyError, ValueError):
            continue
    return 0
