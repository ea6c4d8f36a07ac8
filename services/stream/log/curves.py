"""Curves out of the log: buckets of steps are kept in a derived table, so that only what is new is read again."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import Lock
from zlib import crc32

from services.stream.log import curve_rows
from services.stream.log.access import Access
from services.stream.log.buckets import Bucket, fold, widen
from services.stream.log.curve_rows import Derivation, Extent, Span
from services.stream.log.kept import Kept, read_kept
from services.stream.log.points import read_points
from services.stream.log.thinned import cut
from shared.contracts.events import MAX_SEQ

_NARROWEST = 64
"""Where fewer steps than this go into a bucket, events are read instead: there are few of them."""
_MOST = 32_768
"""Buckets of a figure in the table at most, roughly; from there on they are wider."""
_ROWS_A_WRITE = 32
_KEYS_AT_ONCE = 4
_LOCKS = 16
HANDS = 2

Found = dict[str, list[Bucket]]


@dataclass(frozen=True, slots=True)
class Drawing:
    """Buckets of `width` steps by figure, of the log as far as `through`."""

    width: int
    through: int
    buckets: Found


def width_for(extent: Extent, narrowest: int = _NARROWEST, most: int = _MOST) -> int:
    """Steps a bucket of the table spans: more, eightfold, where steps reach further."""
    width = narrowest
    while (extent.last - extent.first) // width > most:
        width *= 8
    return width


class CurveReader:
    """Downsampled history; blocking."""

    def __init__(self, log: Access) -> None:
        self._log = log
        # Two who ask for the same curve at once: the second finds it made.
        self._locks = [Lock() for _ in range(_LOCKS)]
        # The database works outside of the interpreter's lock, so a second hand helps; more would starve ingest.
        self._hands = ThreadPoolExecutor(HANDS, thread_name_prefix="curves")

    def draw(self, topic: str, keys: Sequence[str], count: int, after: int, until: int) -> Drawing:
        """At most `count` buckets a figure, of the steps above `after` and up to `until`."""
        kept = self._log.read(partial(read_kept, topic=topic))
        if kept.curve_width is None:
            drawing = self._draw_whole(topic, keys, count, after, until)
            # Retention may have begun to take the events away meanwhile.
            kept = self._log.read(partial(read_kept, topic=topic))
            if kept.curve_width is None:
                return drawing
        return self._draw_thinned(topic, keys, count, (after + 1, until), kept)

    def _draw_whole(self, topic: str, keys: Sequence[str], count: int, after: int, until: int) -> Drawing:
        extent = self._log.read(partial(curve_rows.read_extent, topic=topic))
        if extent is None:
            return Drawing(1, 0, {})
        low, high = max(extent.first, after + 1), min(extent.last, until)
        base = width_for(extent)
        width = max(1, -(-(high - low + 1) // count))
        if width < base:
            return Drawing(width, extent.last_seq, self._fold(topic, keys, (low, high), width, low))
        origin = low // base * base
        width = _width(origin, high, base, count)
        found: Found = {}
        for at in range(0, len(keys), _KEYS_AT_ONCE):
            some = keys[at : at + _KEYS_AT_ONCE]
            self._refresh(topic, some, base, extent)
            for key, buckets in self._kept(topic, some, base, (low, high), extent):
                found[key] = widen(buckets, width, origin)
        return Drawing(width, extent.last_seq, found)

    def _draw_thinned(self, topic: str, keys: Sequence[str], count: int, span: Span, kept: Kept) -> Drawing:
        """A log that has nothing but curves left."""
        base = kept.curve_width or 1
        found: Found = {}
        for key in keys:
            whole = self._log.read(partial(curve_rows.read_buckets, topic=topic, base=base, key=key, span=(0, MAX_SEQ)))
            if buckets := [part for bucket in whole for part in cut(bucket, *span)]:
                found[key] = buckets
        if not found:
            return Drawing(1, kept.last_seq, {})
        origin = min(buckets[0].first_step for buckets in found.values()) // base * base
        width = _width(origin, max(buckets[-1].last_step for buckets in found.values()), base, count)
        return Drawing(width, kept.last_seq, {key: widen(buckets, width, origin) for key, buckets in found.items()})

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
        parts = [part for span in spans for part in _parts(span, task.row_steps * _ROWS_A_WRITE)]
        fold_part = partial(self._fold, task.topic, task.keys, width=task.base)
        for part, made in zip(parts, self._hands.map(fold_part, parts), strict=True):
            if not self._log.write(partial(curve_rows.store, task=task, span=part, made=made)):
                return
        self._log.write(partial(curve_rows.finish, task=task, last_seq=extent.last_seq))

    def close(self) -> None:
        """Wait for what is being read; blocking."""
        self._hands.shutdown(cancel_futures=True)


def _width(origin: int, last: int, base: int, count: int) -> int:
    """The multiple of `base` that makes at most `count` buckets from `origin` through `last`."""
    return base * -(-(last - origin + 1) // (count * base))


def _parts(span: Span, stride: int) -> list[Span]:
    """`span` cut at multiples of `stride`; a few, as wide as buckets are."""
    first, last = span
    return [(max(first, at), min(last, at + stride - 1)) for at in range(first // stride * stride, last + 1, stride)]
