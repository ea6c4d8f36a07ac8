"""What the demo found: a table for people, a JSON file for programs, and whether the gain is real."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

MOST_BASE = 0.1
LEAST_TUNED = 0.5
_ROWS = {
    "exact_match": "exact match",
    "token_f1": "token F1",
    "chrf": "chrF",
    "loss": "held-out loss",
}


@dataclass
class Findings:
    """The story so far, in the shape of `demo-report.json`."""

    seeds: dict[str, int]
    base: dict[str, Any] = field(default_factory=dict)
    tuned: dict[str, Any] = field(default_factory=dict)
    analysis: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    datasets: dict[str, Any] = field(default_factory=dict)
    jobs: dict[str, str] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    timings_s: dict[str, float] = field(default_factory=dict)

    def missing_gain(self) -> str | None:
        """Why the model did not really get better; None when it did."""
        base, tuned = self.base["exact_match"], self.tuned["exact_match"]
        if base > MOST_BASE:
            return (
                f"the base model already answers {base:.0%} of the test exactly; at most {MOST_BASE:.0%} shows a gain"
            )
        if tuned < LEAST_TUNED:
            return f"the tuned model answers only {tuned:.0%} of the test exactly; {LEAST_TUNED:.0%} is asked"
        return None

    def write(self, path: Path) -> None:
        """Write everything as JSON."""
        facts = {**vars(self), "gain_is_real": self.missing_gain() is None}
        path.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def show(self, console: Console) -> None:
        """The before/after table and where everything lies."""
        table = Table("on unseen test questions", "before", "after", title="Did it get better?", title_justify="left")
        for key, label in _ROWS.items():
            if key in self.base and key in self.tuned:
                table.add_row(label, _shown(self.base[key]), _shown(self.tuned[key]))
        console.print(table)
        for label, path in self.paths.items():
            console.print(f"{label.replace('_', ' '):>18}  {path}", soft_wrap=True, highlight=False)


def _shown(figure: object) -> str:
    return f"{figure:.3f}" if isinstance(figure, int | float) else str(figure)
