"""Write the arithmetic example as train, validation and test files that share facts but never a question.

What is held out: every fact ("3 + 4 is 7") is asked in eight phrasings, four English and four Chinese. One
phrasing of each fact goes to the test file, one to the validation file and the other six to the train file.
So each test question is new to the model, while its fact was seen in other words and its wording with other
facts. A good test score shows that the model recombines what it was taught; it does not show that it can add
numbers it never met.
"""

import argparse
import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from examples.arithmetic.facts import Row, ask_every_fact

SPLITS = ("train", "validation", "test")


def split_rows(seed: int) -> dict[str, list[Row]]:
    """Draw for each fact which phrasing is tested and which validates; the same seed gives the same rows."""
    draw = random.Random(seed)
    rows: dict[str, list[Row]] = {split: [] for split in SPLITS}
    for phrased in ask_every_fact():
        test_index, validation_index = draw.sample(range(len(phrased)), 2)
        for index, row in enumerate(phrased):
            split = {test_index: "test", validation_index: "validation"}.get(index, "train")
            rows[split].append(row)
    for split in SPLITS:
        draw.shuffle(rows[split])
    return rows


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    lines = (json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)
    path.write_text("".join(lines), encoding="utf-8")


def generate(out_dir: Path, seed: int = 7, *, limit: int | None = None) -> dict[str, Path]:
    """Write one JSONL file a split and return their paths; `limit` cuts each file to its first rows."""
    out_dir.mkdir(parents=True, exist_ok=True)
    paths = {split: out_dir / f"{split}.jsonl" for split in SPLITS}
    for split, rows in split_rows(seed).items():
        write_rows(paths[split], rows[:limit])
    return paths


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Generate the arithmetic example data set.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the three files")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--limit", type=int, default=None, help="most rows a file")
    chosen = parser.parse_args(arguments)
    for split, path in generate(chosen.out, chosen.seed, limit=chosen.limit).items():
        print(f"{split}: {path}")


if __name__ == "__main__":
    main()
