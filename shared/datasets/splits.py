"""Which rows are held out for validation: decided by each row's content, so that equal rows are on one side."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

_HASHES = 1 << 64


@dataclass(frozen=True, slots=True)
class Split:
    """A seed and a threshold; a row keeps its side when rows are added, moved or taken away around it."""

    seed: int
    threshold: int
    """Rows that hash below it are held out."""
    held_out: int
    kept: int

    @classmethod
    def of(cls, lines: Iterable[bytes], share: float, seed: int) -> "Split":
        """Hold out about `share` of the rows; at least one, and not all, where there are two different ones."""
        threshold = int(share * _HASHES)
        held_out = total = lowest_count = 0
        lowest, highest, highest_count = _HASHES, -1, 0
        for line in lines:
            found = _hash(line, seed)
            total += 1
            held_out += found < threshold
            if found < lowest:
                lowest, lowest_count = found, 0
            if found > highest:
                highest, highest_count = found, 0
            lowest_count += found == lowest
            highest_count += found == highest
        if not held_out and total:
            threshold, held_out = lowest + 1, lowest_count
        if held_out == total and lowest < highest:
            threshold, held_out = highest, total - highest_count
        return cls(seed, threshold, held_out, total - held_out)

    def holds_out(self, line: bytes) -> bool:
        """Whether this row is for validation."""
        return _hash(line, self.seed) < self.threshold


def _hash(line: bytes, seed: int) -> int:
    return int.from_bytes(blake2b(line.rstrip(b"\n"), digest_size=8, salt=seed.to_bytes(8, "big")).digest(), "big")
