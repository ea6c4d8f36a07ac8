"""What our callbacks cost a training: processor time per step, and wall clock beside the same run without them."""

import json
import subprocess
import sys
from pathlib import Path

from tests.bench.table import Figure, median


def measure(folder: Path, rounds: int) -> list[Figure]:
    """Alternating runs in one warm process: thread time of our callbacks a step, wall clock beside a neighbour."""
    command = [sys.executable, "-m", "tests.bench.callback_runs", str(folder), str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    runs = json.loads(done.stdout.splitlines()[-1])
    figures = []
    for every, found in runs.items():
        ours = {name: [run[name] for run in found["with"]] for name in found["with"][0]}
        bare = [run["step_ms"] for run in found["without"]]
        per_step = median(ours["callback_us"])
        ratios = [with_us / without for with_us, without in zip(ours["step_ms"], bare, strict=True)]
        ratio = median(ratios)
        label = f"callbacks, logging every {every}"
        figures += [
            Figure(f"{label}: CPU a step", per_step, "µs", "≤ 150", per_step <= 150, ours["callback_us"]),
            Figure(f"{label}: CPU a log", median(ours["log_us"]), "µs", samples=ours["log_us"]),
            Figure(f"{label}: CPU a checkpoint sealed", median(ours["save_ms"]), "ms", samples=ours["save_ms"]),
            Figure(f"{label}: CPU at the beginning, once", median(ours["begin_ms"]), "ms", samples=ours["begin_ms"]),
            Figure(f"{label}: a step without them", median(bare), "ms", samples=bare),
            Figure(f"{label}: wall clock, with / without", ratio, "ratio", "≤ 1.03", ratio <= 1.03, ratios),
        ]
    return figures
