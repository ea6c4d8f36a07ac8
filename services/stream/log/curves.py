"""Curves out of the log: buckets of steps are kept in a derived table, so that only what is new is read again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Lock
from zlib import crc32

from services.stream.log import curve_rows
from services.stream.log.access import Access
from services.stream.log.buckets import Bucket, fold, widen
from services.stream.log.curve_rows import Derivation, Extent, Span
from services.stream.log.points import read_points
from shared.kit.sql import Database

_NARROWEST = 64
"""Where fewer steps than this go into a bucket, events are read instead: there are few of them."""
_MOST = 32_768
"""Buckets of a figure in the table at most, roughly; from there on they are wider."""
_ROWS_A_WRITE = 32
_KEYS_AT_ONCE = 4
_LOCKS = 16

Found = dict[str, list[Bucket]]


@dataclass(frozen=True, slots=True)
class Drawing:
    """Buckets of `width` steps by figure, of the log as far as `through`."""

    width: int
    through: int
    buckets: Found


def width_for(extent: Extent) -> int:
    """Steps a bucket of the table spans: more, eightfold, where steps reach further."""
    width = _NARROWEST
    while (extent.last - extent.first) // width > _MOST:
        width *= 8
    return width


class CurveReader:
    """Downsampled history; blocking."""

    def __init__(self, database: Database) -> None:
        self._log = Access(database)
        # Two who ask for the same curve at once: the second finds it made.
        self._locks = [Lock() for _ in range(_LOCKS)]

    def draw(self, topic: str, keys: Sequence[str], count: int, after: int, until: int) -> Drawing:
        """At most `count` buckets a figure, of the steps above `after` and up to `until`."""
        extent = self._log.read(partial(curve_rows.read_extent, topic=topic))
        if extent is None:
            return Drawing(1, 0, {})
        low, high = max(extent.first, after + 1), min(extent.last, until)
        base = width_for(extent)
        width = max(1, -(-(high - low + 1) // count))
        if width < base:
            return Drawing(width, extent.last_seq, self._fold(topic, keys, (low, high), width, low))
        origin = low // base * base
        width = base * -(-(high - origin + 1) // (count * base))
        found: Found = {}
        for at in range(0, len(keys), _KEYS_AT_ONCE):
            some = keys[at : at + _KEYS_AT_ONCE]
            self._refresh(topic, some, base, extent)
            for key, buckets in self._kept(topic, some, base, (low, high), extent):
                found[key] = widen(buckets, width, origin)
        return Drawing(width, extent.last_seq, found)

    def _fold(self, topic: str, keys: Sequence[str], span: Span, width: int, origin: int = 0) -> Found:
        """Buckets of `width` steps, from the events."""
        found: Found = {key: [] for key in keys}
        for steps, columns in read_points(self._log, topic, keys, span):
            for key, values in zip(keys, columns, strict=True):
                found[key] += fold(steps, values, width, origin)
        # A page may end in the middle of a bucket.
        return {key: widen(buckets, width, origin) for key, buckets in found.items() if buckets}

    def _kept(
        self, topic: str, keys: Sequence[str], base: int, span: Span, extent: Extent
    ) -> Iterator[tuple[str, list[Bucket]]]:
        """Buckets of `base` steps: whole ones from the table, those that a bound cuts from the events."""
        low, high = span
        inner = low if low == extent.first else -(-low // base) * base
        outer = high if high == extent.last else (high + 1) // base * base - 1
        before = self._fold(topic, keys, (low, min(inner - 1, high)), base) if low < inner else {}
        behind = self._fold(topic, keys, (max(outer + 1, inner), high), base) if outer < high else {}
        for key in keys:
            whole = self._log.read(
                partial(curve_rows.read_buckets, topic=topic, base=base, key=key, span=(inner, outer))
            )
            if buckets := before.get(key, []) + whole + behind.get(key, []):
                yield key, buckets

    def _refresh(self, topic: str, keys: Sequence[str], base: int, extent: Extent) -> None:
        """Bring the table up to what the log holds."""
        with self._locks[crc32(topic.encode()) % _LOCKS]:
            marks = self._log.read(partial(curve_rows.read_marks, topic=topic, keys=keys, base=base))
            for mark in sorted(set(marks.values())):
                if mark < extent.last_seq:
                    behind = tuple(key for key in keys if marks[key] == mark)
                    self._derive(Derivation(topic, behind, base, mark), extent)

    def _derive(self, task: Derivation, extent: Extent) -> None:
        spans = [(extent.first, extent.last)]
        if task.through:
            spans = self._log.read(partial(curve_rows.stale_spans, task=task, last_seq=extent.last_seq))
        else:
            self._log.write(partial(curve_rows.begin, task=task))
        stride = task.row_steps * _ROWS_A_WRITE
        for low, last in spans:
            while low <= last:
                part = (low, min(last, low // stride * stride + stride - 1))
                made = self._fold(task.topic, task.keys, part, task.base)
                if not self._log.write(partial(curve_rows.store, task=task, span=part, made=made)):
                    return
                following = self._log.read(partial(curve_rows.next_step, topic=task.topic, after=part[1]))
                low = last + 1 if following is None else following
        self._log.write(partial(curve_rows.finish, task=task, last_seq=extent.last_seq))
