"""Sketches may propose too much, never too little; what is reported is verified on the text."""

import json
import random
from pathlib import Path

import pytest

from services.analyzer.near_duplicates import near_duplicates
from services.analyzer.rows import RowFile
from services.analyzer.shingles import jaccard, shingles
from services.analyzer.sketches import PERMUTATIONS, Sketchbook, buckets, rows_per_band
from tests.attempts import chat

_HAN = [chr(0x4E00 + index) for index in range(600)]


def _texts(seed: int) -> tuple[list[str], list[tuple[int, int]]]:
    """300 unlike texts, English and Chinese, then 100 copies with one token replaced; row numbers of the pairs."""
    draw = random.Random(seed)
    words = ["".join(draw.choices("abcdefghijklmnop", k=6)) for _ in range(2_000)]
    tokens = [draw.choices(words, k=40) for _ in range(150)] + [draw.choices(_HAN, k=80) for _ in range(150)]
    copied = draw.sample(range(300), 100)
    for index in copied:
        copy = list(tokens[index])
        copy[draw.randrange(len(copy))] = "改" if index >= 150 else "changed"
        tokens.append(copy)
    texts = [("" if item[0] in _HAN else " ").join(item) for item in tokens]
    return texts, [(index + 1, 301 + place) for place, index in enumerate(copied)]


def _found(folder: Path, texts: list[str], threshold: float) -> list[list[int]]:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(chat(text, "yes"), ensure_ascii=False) + "\n" for text in texts))
    rows, book, numbers = RowFile(path), Sketchbook(), []
    for row in rows:
        numbers.append(row.number)
        book.add(shingles(row.text))
    return near_duplicates(rows, numbers, book.matrix(), threshold)


@pytest.mark.parametrize("threshold", [0.6, 0.8])
def test_every_planted_near_duplicate_is_found_and_nothing_else(tmp_path: Path, threshold: float) -> None:
    texts, planted = _texts(seed=3)
    similar = [pair for pair in planted if jaccard(*(shingles(texts[row - 1] + "\nyes") for row in pair)) >= threshold]
    assert len(similar) == 100
    assert sorted(map(tuple, _found(tmp_path, texts, threshold))) == sorted(similar)


def test_similar_rows_are_one_cluster(tmp_path: Path) -> None:
    story = " ".join(f"w{index}x" for index in range(60))
    assert _found(tmp_path, [story, f"{story} one", "quite another thing", f"{story} two"], 0.8) == [[1, 2, 4]]


def test_nothing_is_near_nothing(tmp_path: Path) -> None:
    assert _found(tmp_path, [], 0.8) == []


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.8, 0.95])
def test_the_banding_suits_the_threshold(threshold: float) -> None:
    rows = rows_per_band(threshold)
    if rows > 1:
        assert 1 - (1 - threshold**rows) ** (PERMUTATIONS // rows) >= 0.998


def test_equal_texts_share_every_bucket() -> None:
    book = Sketchbook()
    for text in ("one two three", "one two three", "something else"):
        book.add(shingles(text))
    found = [bucket.tolist() for bucket in buckets(book.matrix(), 0.8)]
    assert found == [[0, 1]] * (PERMUTATIONS // rows_per_band(0.8))
