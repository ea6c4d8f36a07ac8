"""How much an uploaded data set may take."""

from dataclasses import dataclass

MEGABYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one upload; the last three hold for the process that reads it."""

    rows: int = 10_000_000
    row_bytes: int = 8 * MEGABYTE
    output_bytes: int = 4096 * MEGABYTE
    """Of the normalised rows: a small file may unpack into a very large one."""
    memory_bytes: int = 1024 * MEGABYTE
    cpu_s: int = 900
