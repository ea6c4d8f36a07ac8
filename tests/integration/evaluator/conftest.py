"""Tiny models to evaluate: made once, one of them taught the answers by heart."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.attempts import chat

PAIRS = [
    ("Which colour is grass?", "green"),
    ("How many legs has a spider?", "8"),
    ("Name the capital of France.", "Paris"),
    ("Does a fish fly?", "no"),
    ("天空是什么颜色？", "蓝色"),
    ("一周有几天？", "7"),
    ("What barks?", "a dog"),
    ("Spell the first letter.", "A"),
]
ROWS = [chat(question, answer) for question, answer in PAIRS]


@dataclass(frozen=True)
class Models:
    """Folders: a base that knows nothing, and an adapter for it that knows the answers."""

    base: Path
    adapter: Path


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    from tests.integration.evaluator.tiny import teach, untaught

    folder = tmp_path_factory.mktemp("models")
    base = untaught(folder / "base", [question for question, _ in PAIRS])
    return Models(base, teach(base, folder / "adapter", PAIRS))
