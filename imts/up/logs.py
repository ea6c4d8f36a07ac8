"""The services' log files: rotated when a service starts, quoted when it cannot."""

from pathlib import Path

_ROTATE_AT_BYTES = 16 << 20
_KEPT = 3


def rotate(log: Path, limit_bytes: int = _ROTATE_AT_BYTES) -> None:
    """Move a large log aside; the oldest of three is dropped."""
    if not log.is_file() or log.stat().st_size < limit_bytes:
        return
    for number in range(_KEPT - 1, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        if older.is_file():
            older.rename(log.with_name(f"{log.name}.{number + 1}"))
    log.rename(log.with_name(f"{log.name}.1"))


def last_lines(log: Path, count: int = 5) -> list[str]:
    """The end of a log."""
    if not log.is_file():
        return []
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - 8192))
        return stream.read().decode("utf-8", "replace").splitlines()[-count:]
