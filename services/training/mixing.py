"""Mixes data sets row by row: the same inputs and seed make the same rows in the same order, in any attempt."""

import heapq
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from shared.contracts.mixing import MixStrategy
from shared.datasets.rows import read_lines
from shared.datasets.splits import Split


class Line(NamedTuple):
    """A row before it is read, and where it is from."""

    dataset: str
    number: int
    """From 1, as at the upload."""
    text: bytes


def whole(name: str, blob: Path) -> Iterator[Line]:
    """One data set as it is."""
    for number, text in enumerate(read_lines(blob), 1):
        yield Line(name, number, text)


@dataclass(frozen=True)
class Part:
    """A data set in a mix; `rows` is how many lines its blob has."""

    name: str
    blob: Path
    rows: int
    weight: float | None = None


@dataclass(frozen=True)
class Mixture:
    """The rows to learn and those to hold out, of one data set or several; nothing of them is kept in memory."""

    parts: Sequence[Part]
    strategy: MixStrategy
    held_out: float | None
    """Share for validation; None holds out nothing."""
    seed: int

    def training(self) -> Iterator[Line]:
        """Rows of all data sets, each spread evenly over the whole."""
        streams = [self._placed(index, count) for index, count in enumerate(self.counts)]
        return (line for _, line in heapq.merge(*streams, key=lambda placed: placed[0]))

    def validation(self) -> Iterator[Line]:
        """The rows held out, each once."""
        for index in range(len(self.parts)):
            yield from self._lines(index, is_held_out=True)

    @cached_property
    def counts(self) -> list[int]:
        """How many rows each data set gives to the training, before any are left out as unfit."""
        available = [
            part.rows if split is None else split.kept for part, split in zip(self.parts, self._splits, strict=True)
        ]
        if any(part.weight is None for part in self.parts):
            return available
        weights = [Fraction(part.weight or 0) for part in self.parts]
        sizes = [Fraction(rows) / weight for rows, weight in zip(available, weights, strict=True)]
        size = min(sizes) if self.strategy is MixStrategy.UNDER else max(sizes)
        return [round(size * weight) if rows else 0 for rows, weight in zip(available, weights, strict=True)]

    @cached_property
    def _splits(self) -> list[Split | None]:
        if self.held_out is None:
            return [None] * len(self.parts)
        return [Split.of(read_lines(part.blob), self.held_out, self.seed) for part in self.parts]

    def _lines(self, index: int, *, is_held_out: bool) -> Iterator[Line]:
        part, split = self.parts[index], self._splits[index]
        for line in whole(part.name, part.blob):
            if is_held_out == (split is not None and split.holds_out(line.text)):
                yield line

    def _placed(self, index: int, count: int) -> Iterator[tuple[float, Line]]:
        """The chosen rows of one data set, each with its place between 0 and 1."""
        split = self._splits[index]
        available = self.parts[index].rows if split is None else split.kept
        chosen = self._chosen(index, available, count) if count != available else self._lines(index, is_held_out=False)
        for place, line in enumerate(chosen):
            yield (place + 0.5) / max(count, 1), line

    def _chosen(self, index: int, available: int, count: int) -> Iterator[Line]:
        """`count` rows of those there are: each as often as every other, but for a rest that is drawn."""
        draw = random.Random(f"{self.seed}/{self.parts[index].name}").random  # noqa: S311 - guards nothing
        times, rest = divmod(count, available)
        for left, line in zip(range(available, 0, -1), self._lines(index, is_held_out=False), strict=False):
            is_drawn = draw() * left < rest
            rest -= is_drawn
            for _ in range(times + is_drawn):
                yield line
