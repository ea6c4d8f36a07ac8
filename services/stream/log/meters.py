"""What Prometheus is told of appends: group commits, what waits, and what is refused."""

from collections.abc import Iterator
from contextlib import contextmanager

from shared.kit.errors import ImtsError
from shared.kit.metrics import Counter, Gauge, Histogram

COMMIT_EVENTS = Histogram(
    "stream_commit_events", "Events that one commit took into the log",
    buckets=(0, 1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000),
)  # fmt: skip
COMMIT_SECONDS = Histogram(
    "stream_commit_seconds", "Time a group of appends took to be committed",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5),
)  # fmt: skip
WAITING = Gauge("stream_appends_waiting", "Appends being read or waiting for their commit")
WAITING_BYTES = Gauge("stream_appends_waiting_bytes", "Bytes they hold")
REFUSED = Counter("stream_appends_refused_total", "Appends that were refused", ["reason"])


@contextmanager
def counting_refusals() -> Iterator[None]:
    """Count what is refused within, by its error's code."""
    try:
        yield
    except ImtsError as fault:
        REFUSED.labels(fault.code).inc()
        raise
