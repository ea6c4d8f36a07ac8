"""The door to pyarrow: streams the rows of a Parquet file, batch by batch."""

import io
from collections.abc import Iterator
from typing import Any

from shared.datasets.faults import too_large, unreadable
from shared.datasets.formats import KNOWN_COLUMNS
from shared.datasets.limits import Limits

_BATCH = 64
_BATCH_OF_IMAGES = 4
_IMAGES = frozenset({"image", "images"})
_DAMAGED = "the Parquet file is damaged or uses a feature we do not read; write it again"


def read_parquet(source: io.BufferedIOBase, limits: Limits) -> Iterator[Any]:
    """The rows of `source`; only columns that some form knows are read."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise unreadable("Parquet is not installed on this server; send JSON Lines, or install imts[data]") from None

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    try:
        file = parquet.ParquetFile(source, pre_buffer=False, buffer_size=1 << 20)
        if file.metadata.num_rows > limits.rows:
            raise too_large(f"the file has more than {limits.rows} rows; split it")
        columns = [name for name in file.schema_arrow.names if name in KNOWN_COLUMNS]
        if not columns:
            raise unreadable("the Parquet file has no column that a data set form knows; rename its columns")
        if len(set(columns)) != len(columns):
            raise unreadable("the Parquet file names a column twice; give each column its own name")
        size = _BATCH if _IMAGES.isdisjoint(columns) else _BATCH_OF_IMAGES
        for batch in file.iter_batches(batch_size=size, columns=columns, use_threads=False):
            yield from batch.to_pylist()
    except MemoryError:
        raise too_large("the Parquet file unpacks into more memory than an upload may use; split it") from None
    except (pa.ArrowException, OSError, OverflowError, UnicodeDecodeError, ValueError):
        raise unreadable(_DAMAGED) from None
