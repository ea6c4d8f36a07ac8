"""What a run did and how soon jobs moved again, as a table for people."""

from collections import Counter

from tests.chaos.mesh.customers import Customers
from tests.chaos.mesh.recovery import Stopwatch
from tests.chaos.mesh.saboteur import Saboteur
from tests.chaos.mesh.watcher import Watcher


def _at(figures: list[float], share: float) -> float:
    ordered = sorted(figures)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def _spread(figures: list[float]) -> str:
    p50, p95 = _at(figures, 0.5), _at(figures, 0.95)
    return f"p50 {p50:.2f} s, p95 {p95:.2f} s, longest {max(figures, default=float('nan')):.2f} s ({len(figures)})"


def report(
    saboteur: Saboteur, customers: Customers, stopwatch: Stopwatch, watcher: Watcher, ends: Counter[str], cuts: int
) -> str:
    """Lines to print."""
    lines = [f"{saboteur.struck.total()} faults struck, {saboteur.absent.total()} found nobody:"]
    lines += [f"  {name:<20}{count:>4}" for name, count in sorted(saboteur.struck.items())]
    lines += [
        f"{len(customers.accepted)} jobs: {dict(ends)}; {customers.repeated} requests were repeated; "
        f"{cuts} connections cut",
        f"processes looked at {watcher.looks} times, job views {watcher.views_seen} times",
        f"all answers again after the last fault is over: {_spread(stopwatch.backs)}",
        f"all answers again, then what is due moves: {_spread(stopwatch.moves)}",
        f"  nothing was due for a while: {stopwatch.quiet} times; over 5 s: {stopwatch.slow}",
    ]
    return "\n".join(lines)
