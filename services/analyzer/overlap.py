"""Finds test rows whose question also stands in the training rows, word for word or nearly."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from services.analyzer.rows import Row, RowFile
from services.analyzer.shingles import fingerprint, jaccard, shingles
from services.analyzer.sketches import Matrix, Sketchbook, agreement, buckets, least_agreement

_LOOKED_AT = 16
"""Training rows of one bucket that a test row is compared with, the likeliest first."""
_REMEMBERED = 512


@dataclass(frozen=True, slots=True)
class Match:
    """A training row and the test row it gives away."""

    row: int
    test_row: int
    similarity: float


class Questions:
    """The distinct questions of one data set, by hash and by sketch."""

    def __init__(self, rows: RowFile) -> None:
        self.rows = rows
        self.numbers: list[int] = []
        """The row each sketch is of."""
        self.first: dict[bytes, int] = {}
        self.all: list[bytes] = []
        """The hash of every row's question, in order; empty for a row without one."""
        self._sketches = Sketchbook()

    def add(self, row: Row) -> None:
        """Take a row in."""
        if not row.question.strip():
            self.all.append(b"")
            return
        key = fingerprint(row.question)
        self.all.append(key)
        if self.first.setdefault(key, row.number) != row.number:
            return
        found = shingles(row.question)
        if found:
            self.numbers.append(row.number)
            self._sketches.add(found)

    def matrix(self) -> Matrix:
        """Sketches of the distinct questions."""
        return self._sketches.matrix()


def exact_overlap(train: Questions, test: Questions) -> list[Match]:
    """One match for every test row whose question is a training question too."""
    numbered = enumerate(test.all, 1)
    return [Match(train.first[key], number, 1.0) for number, key in numbered if key and key in train.first]


def near_overlap(train: Questions, test: Questions, threshold: float) -> list[Match]:
    """The most similar training question of every distinct test question that has one, exact ones aside."""
    test_shingles = lru_cache(_REMEMBERED)(lambda number: shingles(test.rows.at(number).question))
    train_shingles = lru_cache(_REMEMBERED)(lambda number: shingles(train.rows.at(number).question))
    exact = {match.test_row for match in exact_overlap(train, test)}
    best: dict[int, Match] = {}
    for test_at, train_at in _likely_pairs(train.matrix(), test.matrix(), threshold):
        number, other = test.numbers[test_at], train.numbers[train_at]
        if number in exact or (number in best and best[number].row == other):
            continue
        similarity = jaccard(test_shingles(number), train_shingles(other))
        if similarity >= threshold and (number not in best or similarity > best[number].similarity):
            best[number] = Match(other, number, similarity)
    return [best[number] for number in sorted(best)]


def _likely_pairs(train: Matrix, test: Matrix, threshold: float) -> Iterator[tuple[int, int]]:
    """Indices (test, train) of questions that share a bucket and whose sketches agree well enough."""
    both = np.concatenate([train, test])
    floor = least_agreement(threshold)
    for bucket in buckets(both, threshold):
        split = int(np.searchsorted(bucket, len(train)))
        for index in bucket[split:].tolist():
            for other in _likeliest(both, index, bucket[:split], floor):
                yield index - len(train), other


def _likeliest(both: Matrix, index: int, others: NDArray[np.intp], floor: float) -> list[int]:
    shares = agreement(both, index, others)
    order = np.argsort(-shares, kind="stable")[:_LOOKED_AT]
    return [int(others[place]) for place in order if shares[place] >= floor]
