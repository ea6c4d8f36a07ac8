"""Measured figures as JSON and as a table: name, value, unit, and the peer they are compared with."""

import json
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Figure:
    """One measurement; `goal` is a sentence, because only a reader can weigh it on their machine."""

    name: str
    value: float
    unit: str
    goal: str = ""
    is_met: bool | None = None
    samples: Sequence[float] = field(default=())


def percentile(samples: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the samples lie, nearest rank."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median(samples: Sequence[float]) -> float:
    """The middle sample."""
    return statistics.median(samples)


def machine() -> dict[str, object]:
    """What these figures were measured on."""
    return {
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def write(figures: Sequence[Figure], target: Path) -> None:
    """JSON to `target`, a table to standard output."""
    target.parent.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine(), "figures": [asdict(figure) for figure in figures]}
    target.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    width = max(len(figure.name) for figure in figures)
    for figure in figures:
        verdict = {None: "", True: "met", False: "NOT MET"}[figure.is_met]
        print(f"{figure.name:<{width}}  {figure.value:>12.4g} {figure.unit:<8} {figure.goal} {verdict}".rstrip())
