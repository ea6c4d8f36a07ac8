"""Finds rows that say almost the same: sketches propose pairs, exact Jaccard similarity decides."""

from collections.abc import Sequence
from functools import lru_cache

from services.analyzer.rows import RowFile
from services.analyzer.shingles import jaccard, shingles
from services.analyzer.sketches import Matrix, agreement, buckets, least_agreement

_LOOKED_BACK = 16
"""Earlier members of a bucket that a row is compared with: bounds the work in a huge bucket of unlike rows."""
_REMEMBERED = 512


class _Clusters:
    """Disjoint sets of indices."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def root(self, index: int) -> int:
        while self._parent[index] != index:
            self._parent[index] = self._parent[self._parent[index]]
            index = self._parent[index]
        return index

    def join(self, one: int, other: int) -> None:
        low, high = sorted((self.root(one), self.root(other)))
        self._parent[high] = low

    def groups(self) -> list[list[int]]:
        members: dict[int, list[int]] = {}
        for index in range(len(self._parent)):
            members.setdefault(self.root(index), []).append(index)
        return [group for group in members.values() if len(group) > 1]


def near_duplicates(rows: RowFile, numbers: Sequence[int], matrix: Matrix, threshold: float) -> list[list[int]]:
    """Row numbers of each cluster whose members are linked by pairs at or above the threshold.

    `numbers[i]` is the row that `matrix[i]` sketches. Every link is verified on the rows themselves.
    """
    read = lru_cache(maxsize=_REMEMBERED)(lambda index: shingles(rows.at(numbers[index]).text))
    clusters = _Clusters(len(numbers))
    floor = least_agreement(threshold)
    for bucket in buckets(matrix, threshold):
        for place in range(1, len(bucket)):
            index = int(bucket[place])
            earlier = bucket[max(0, place - _LOOKED_BACK) : place]
            for other in earlier[agreement(matrix, index, earlier) >= floor].tolist():
                if clusters.root(index) != clusters.root(other) and jaccard(read(index), read(other)) >= threshold:
                    clusters.join(index, other)
    return [[numbers[index] for index in group] for group in clusters.groups()]
