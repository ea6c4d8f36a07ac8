"""What our callbacks cost a training: processor time per step, and wall clock beside the same run without them."""

import json
import subprocess
import sys
from pathlib import Path

from tests.bench.table import Figure, median


def measure(folder: Path, rounds: int) -> list[Figure]:
    """Alternating runs in one warm engine process; µs of our callbacks' own thread time a step, ratio of medians."""
    command = [sys.executable, "-m", "tests.bench.callback_runs", str(folder), str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    runs = json.loads(done.stdout.splitlines()[-1])
    figures = []
    for every in ("1", "10"):
        found = runs[every]
        per_step = median(found["callback_us"])
        ratio = median(found["with"]) / median(found["without"])
        label = f"callbacks, logging every {every}"
        figures += [
            Figure(f"{label}: CPU a step", per_step, "µs", "≤ 100", per_step <= 100, found["callback_us"]),
            Figure(f"{label}: a step without them", median(found["without"]) * 1000, "ms", samples=found["without"]),
            Figure(f"{label}: wall clock, with / without", ratio, "ratio", "≤ 1.03", ratio <= 1.03),
        ]
    return figures
