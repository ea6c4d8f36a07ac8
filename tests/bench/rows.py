"""How an engine's memory grows with the rows of its data set: rows are streamed and memory-mapped, not held."""

import threading
from pathlib import Path

from tests.bench.table import Figure
from tests.integration.training.laboratory import QUICK, Laboratory, conversation

FEW, MANY = 1_000, 100_000
_SPEC = {**QUICK, "maxSteps": 2, "validationSplit": 0.01, "evalSteps": 10}


def measure(folder: Path) -> list[Figure]:
    """Peak of the engine's private memory with few and with many rows, and what a row more costs."""
    few, many = (_peak(folder / str(rows), rows) for rows in (FEW, MANY))
    size = (many[1] - few[1]) / (MANY - FEW)
    growth = (many[0] - few[0]) / (MANY - FEW)
    return [
        Figure(f"private memory of an engine, {FEW:,} rows", few[0] / 1e6, "MB"),
        Figure(f"private memory of an engine, {MANY:,} rows ({many[1] / 1e6:.0f} MB)", many[0] / 1e6, "MB"),
        Figure("memory a row, of its bytes in the data set", growth / size, "ratio", "≤ 0.25", growth <= size / 4),
    ]


def _peak(folder: Path, count: int) -> tuple[int, int]:
    """The engine's highest private memory during a training, and the size of its data set, in bytes."""
    folder.mkdir()
    laboratory = Laboratory(folder)
    try:
        base = laboratory.base()
        rows = [
            conversation(f"What is {number} + 1?", f"{number + 1} and no other number. " * 40)
            for number in range(count)
        ]
        size = sum(len(row["messages"][1]["content"]) for row in rows)
        gauge = _Gauge(laboratory.engine().pid)
        run = laboratory.train(_SPEC, rows=rows, base=base)
        assert run.result.failure is None, run.result
        return gauge.stop(), size
    finally:
        laboratory.close()


class _Gauge:
    """Reads a process's private memory twenty times a second."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self._peak = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> int:
        """The highest reading, in bytes."""
        self._is_over.set()
        self._thread.join()
        return self._peak

    def _watch(self) -> None:
        while not self._is_over.wait(0.05):
            lines = dict(line.split(":", 1) for line in self._status.read_text().splitlines())
            self._peak = max(self._peak, int(lines["RssAnon"].split()[0]) * 1024)
