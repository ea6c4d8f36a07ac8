"""Groups rows of like length, so that little of a batch is padding."""

from collections.abc import Iterator, Sequence


def by_length(lengths: Sequence[int], batch_size: int, most_tokens: int | None = None) -> Iterator[list[int]]:
    """Indices in batches of at most `batch_size` rows and, padding included, `most_tokens` tokens; at least one row.

    The longest come first: what does not fit into memory fails at once, not after an hour.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    start = 0
    while start < len(order):
        width = max(lengths[order[start]], 1)
        rows = batch_size if most_tokens is None else min(batch_size, max(most_tokens // width, 1))
        yield order[start : start + rows]
        start += rows
