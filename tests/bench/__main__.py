"""`python -m tests.bench [NAME…]`: run the measurements, print them, and write them as JSON."""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.bench import (
    callbacks,
    fanout,
    growth,
    history,
    ingest,
    latency,
    memory,
    overhead,
    plans,
    queue,
    rows,
    serving,
    submission,
    tracking,
)
from tests.bench.overhead import wait_for_spare
from tests.bench.table import Figure, write
from tests.mesh import running_mesh
from tests.stories import add_example


def _overhead(folder: Path, options: argparse.Namespace) -> list[Figure]:
    with running_mesh(folder / "data") as mesh:
        return overhead.measure(mesh, folder, options.rounds)


def _memory(folder: Path, _: argparse.Namespace) -> list[Figure]:
    with running_mesh(folder / "data") as mesh:
        wait_for_spare(mesh)
        return memory.measure(mesh)


def _plans(folder: Path, _: argparse.Namespace) -> list[Figure]:
    with running_mesh(folder / "data") as mesh:
        return plans.measure(mesh, folder / "stories")


def _callbacks(folder: Path, options: argparse.Namespace) -> list[Figure]:
    return callbacks.measure(folder, options.rounds)


def _serving(folder: Path, options: argparse.Namespace) -> list[Figure]:
    with running_mesh(folder / "data") as mesh:
        return serving.measure(mesh, folder, options.rounds)


def _submission_sqlite(folder: Path, options: argparse.Namespace) -> list[Figure]:
    return submission.measure("sqlite", options.mlflow, folder)


def _submission_mysql(folder: Path, options: argparse.Namespace) -> list[Figure]:
    return submission.measure("mysql", options.mlflow, folder)


def _queue(folder: Path, _: argparse.Namespace) -> list[Figure]:
    return queue.measure(folder)


def _claimers(_: Path, __: argparse.Namespace) -> list[Figure]:
    return queue.measure_claimers()


def _tracking(folder: Path, _: argparse.Namespace) -> list[Figure]:
    return tracking.measure(folder)


def _fanout(part: Callable[[Path, int], list[Figure]]) -> Callable[[Path, argparse.Namespace], list[Figure]]:
    return lambda folder, options: part(folder, options.rounds)


def _latency(folder: Path, _: argparse.Namespace) -> list[Figure]:
    with running_mesh(folder / "data") as mesh:
        add_example(mesh, folder / "example")
        return latency.measure(mesh)


def _history(folder: Path, _: argparse.Namespace) -> list[Figure]:
    return history.measure("sqlite", folder)


def _history_mysql(folder: Path, _: argparse.Namespace) -> list[Figure]:
    return history.measure("mysql", folder)


def _ingest(folder: Path, options: argparse.Namespace) -> list[Figure]:
    return ingest.measure(options.mlflow, folder)


def _rows(folder: Path, _: argparse.Namespace) -> list[Figure]:
    return rows.measure(folder)


def _growth(folder: Path, _: argparse.Namespace) -> list[Figure]:
    return growth.measure(folder)


MEASUREMENTS: dict[str, Callable[[Path, argparse.Namespace], list[Figure]]] = {
    "memory": _memory,
    "overhead": _overhead,
    "plans": _plans,
    "callbacks": _callbacks,
    "fanout-load": _fanout(fanout.load),
    "fanout-saturation": _fanout(fanout.saturation),
    "fanout-saturation-queues": _fanout(fanout.saturation_of_queues),
    "fanout-topics": _fanout(fanout.many_topics),
    "fanout-storm": _fanout(fanout.storm),
    "fanout-idle": _fanout(fanout.idle),
    "growth": _growth,
    "history": _history,
    "ingest": _ingest,
    "history-mysql": _history_mysql,
    "queue": _queue,
    "rows": _rows,
    "claimers": _claimers,
    "serving": _serving,
    "submission-sqlite": _submission_sqlite,
    "submission-mysql": _submission_mysql,
    "latency": _latency,
    "tracking": _tracking,
}


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"any of: {', '.join(MEASUREMENTS)}; all when none is named")
    parser.add_argument("--rounds", type=int, default=5, help="alternating runs of each side")
    parser.add_argument("--mlflow", type=Path, default=Path(".venv-bench/bin/mlflow"), help="MLflow's command")
    parser.add_argument("--out", type=Path, default=Path("build/bench.json"))
    options = parser.parse_args()
    if unknown := set(options.names) - set(MEASUREMENTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    figures: list[Figure] = []
    for name in options.names or MEASUREMENTS:
        with tempfile.TemporaryDirectory(prefix=f"imts-bench-{name}-") as folder:
            figures += MEASUREMENTS[name](Path(folder), options)
    write(figures, options.out)


if __name__ == "__main__":
    main()
