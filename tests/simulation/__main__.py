"""`python -m tests.simulation FIRST [COUNT]`: run seeds, stop at the first that breaks a promise."""

import sys
import time

from loguru import logger

from tests.simulation.loop import run
from tests.simulation.world import simulate


def main() -> None:
    """Run; a failing seed is named before its traceback."""
    first, count = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    if count > 1:
        logger.remove()
    began = time.perf_counter()
    for seed in range(first, first + count):
        try:
            run(simulate(seed))
        except BaseException:
            sys.stderr.write(f"seed {seed} breaks a promise: python -m tests.simulation {seed}\n")
            raise
    sys.stdout.write(f"{count} seeds held in {time.perf_counter() - began:.1f} s\n")


if __name__ == "__main__":
    main()
