"""How much an uploaded data set may take."""

from dataclasses import dataclass

MEGABYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one upload; the last three hold for the process that reads it."""

    rows: int = 10_000_000
    row_bytes: int = 8 * MEGABYTE
    images: int = 100_000
    image_bytes: int = 16 * MEGABYTE
    """Of one image as it was sent."""
    image_pixels: int = 32 * MEGABYTE
    """Of one image, unpacked: a small file may be a very large picture."""
    output_bytes: int = 4096 * MEGABYTE
    """Of the normalised rows, and of the images: a small file may unpack into a very large one."""
    memory_bytes: int = 1024 * MEGABYTE
    cpu_s: int = 900
