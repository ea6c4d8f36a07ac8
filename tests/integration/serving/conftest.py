"""A house that serves, with a base and two adapters that learned other answers to the same questions."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.serving.service import House, running_house

QUESTIONS = ["Which colour is grass?", "Name the capital of France.", "How many legs has a spider?", "天空是什么颜色？"]
GREEN = ["green", "Paris", "8", "蓝色"]
RED = ["red and brown", "Rome", "6", "灰色"]


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """`plain@1`, `green@1` and `red@1` over one base."""
    from tests.integration.evaluator.tiny import teach, untaught

    folder: Path = tmp_path_factory.mktemp("house")
    base = untaught(folder / "base", QUESTIONS)
    with running_house(folder) as started:
        started.register("plain", base)
        for name, answers in (("green", GREEN), ("red", RED)):
            started.register(name, base, teach(base, folder / name, list(zip(QUESTIONS, answers, strict=True))))
        yield started
