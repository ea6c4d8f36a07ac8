"""The door to rensa: MinHash sketches of many texts, and buckets of those that may be alike."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from rensa import RMinHash

PERMUTATIONS = 128
_SEED = 42
_BATCH = 512
_BATCH_SHINGLES = 200_000
"""A batch of long texts is sketched earlier, so that memory stays flat."""
_WANTED_RECALL = 0.998
"""Least chance that a pair exactly at the threshold shares a bucket."""

Matrix = NDArray[np.uint32]


class Sketchbook:
    """Sketches of texts, 512 bytes each, in the order they were added."""

    def __init__(self) -> None:
        self._waiting: list[list[str]] = []
        self._waiting_shingles = 0
        self._done: list[Matrix] = []

    def add(self, shingles: frozenset[str]) -> None:
        """Sketch a text that has at least one shingle."""
        self._waiting.append(list(shingles))
        self._waiting_shingles += len(shingles)
        if len(self._waiting) >= _BATCH or self._waiting_shingles >= _BATCH_SHINGLES:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            digests = RMinHash.digests_from_token_sets(self._waiting, PERMUTATIONS, _SEED)
            self._done.append(np.asarray(digests, dtype=np.uint32))
            self._waiting, self._waiting_shingles = [], 0

    def matrix(self) -> Matrix:
        """One row of `PERMUTATIONS` numbers a text."""
        self._flush()
        return np.concatenate(self._done) if self._done else np.empty((0, PERMUTATIONS), dtype=np.uint32)


def rows_per_band(threshold: float) -> int:
    """The most selective banding that still catches a pair at the threshold with `_WANTED_RECALL`."""
    for rows in range(16, 1, -1):
        missed = (1.0 - threshold**rows) ** (PERMUTATIONS // rows)
        if 1.0 - missed >= _WANTED_RECALL:
            return rows
    return 1


def least_agreement(threshold: float) -> float:
    """Share of equal sketch numbers below which a pair is not worth an exact look: 3.5 deviations under."""
    return threshold - 3.5 * math.sqrt(threshold * (1.0 - threshold) / PERMUTATIONS)


def buckets(matrix: Matrix, threshold: float) -> Iterator[NDArray[np.intp]]:
    """Groups of row indices, ascending, that agree on a whole band; a pair may come up in several."""
    size = rows_per_band(threshold)
    for band in range(PERMUTATIONS // size):
        keys = _hash_rows(matrix[:, band * size : (band + 1) * size])
        order = np.argsort(keys, kind="stable")
        edges = np.flatnonzero(np.diff(keys[order])) + 1
        starts, ends = np.append(0, edges), np.append(edges, len(order))
        shared = ends - starts > 1
        for start, end in zip(starts[shared].tolist(), ends[shared].tolist(), strict=True):
            yield order[start:end]


def _hash_rows(columns: Matrix) -> NDArray[np.uint64]:
    keys = np.zeros(len(columns), dtype=np.uint64)
    for column in columns.T:
        keys = (keys ^ column) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(29)
    return keys


def agreement(matrix: Matrix, one: int, others: NDArray[np.intp]) -> NDArray[np.float64]:
    """Estimated Jaccard similarity of one text with others."""
    return np.asarray((matrix[others] == matrix[one]).mean(axis=1))
