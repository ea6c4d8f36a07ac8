"""Data sets are mixed row by row, the same way each time."""

from collections import Counter
from pathlib import Path

import pytest
from pydantic import ValidationError

from services.training.mixing import Mixture, Part
from shared.contracts.mixing import MixStrategy
from shared.contracts.training import TrainingSpec


def part(folder: Path, name: str, rows: int, weight: float | None = None) -> Part:
    blob = folder / name
    blob.write_text("".join(f'{{"text":"{name} {number}"}}\n' for number in range(1, rows + 1)))
    return Part(name, blob, rows, weight)


def mixture(
    *parts: Part, strategy: MixStrategy = MixStrategy.UNDER, held_out: float | None = None, seed: int = 1
) -> Mixture:
    return Mixture(parts, strategy, held_out, seed)


def drawn(mix: Mixture) -> Counter[str]:
    found = Counter(line.dataset for line in mix.training())
    assert [found[part.name] for part in mix.parts] == mix.counts
    return found


def test_one_data_set_is_read_as_it_is(tmp_path: Path) -> None:
    lines = list(mixture(part(tmp_path, "a", 5)).training())
    assert [(line.dataset, line.number) for line in lines] == [("a", number) for number in range(1, 6)]
    assert lines[4].text == b'{"text":"a 5"}\n'


def test_without_weights_every_row_comes_once(tmp_path: Path) -> None:
    assert drawn(mixture(part(tmp_path, "a", 5), part(tmp_path, "b", 30))) == {"a": 5, "b": 30}


@pytest.mark.parametrize(
    ("strategy", "expected"), [(MixStrategy.UNDER, {"a": 20, "b": 10}), (MixStrategy.OVER, {"a": 80, "b": 40})]
)
def test_weights_are_shares_of_the_rows(tmp_path: Path, strategy: MixStrategy, expected: dict[str, int]) -> None:
    mix = mixture(part(tmp_path, "a", 20, 2), part(tmp_path, "b", 40, 1), strategy=strategy)
    assert drawn(mix) == expected
    times = Counter((line.dataset, line.number) for line in mix.training())
    if strategy is MixStrategy.UNDER:
        assert set(times.values()) == {1}
    else:
        assert len(times) == 60
        assert {count for (name, _), count in times.items() if name == "a"} == {4}


def test_repeated_rows_come_equally_often_but_for_a_rest(tmp_path: Path) -> None:
    mix = mixture(part(tmp_path, "a", 3, 1), part(tmp_path, "b", 10, 1), strategy=MixStrategy.OVER)
    times = Counter(line.number for line in mix.training() if line.dataset == "a")
    assert sorted(times.values()) == [3, 3, 4]


def test_every_stretch_of_the_mix_has_its_shares(tmp_path: Path) -> None:
    mix = mixture(part(tmp_path, "a", 30, 3), part(tmp_path, "b", 100, 1))
    names = [line.dataset for line in mix.training()]
    assert all(names[start : start + 8].count("b") in {1, 2, 3} for start in range(0, len(names), 8))


def test_the_same_seed_draws_the_same_rows_and_another_others(tmp_path: Path) -> None:
    parts = part(tmp_path, "a", 20, 1), part(tmp_path, "b", 100, 1)
    first, again, other = (list(mixture(*parts, seed=seed).training()) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("strategy", list(MixStrategy))
def test_no_row_is_both_learnt_and_held_out(tmp_path: Path, strategy: MixStrategy) -> None:
    parts = part(tmp_path, "a", 50, 2), part(tmp_path, "b", 200, 1)
    mix = mixture(*parts, strategy=strategy, held_out=0.2)
    learnt, held_out = ([line.text for line in side] for side in (mix.training(), mix.validation()))
    assert not set(learnt) & set(held_out)
    assert len(set(held_out)) == len(held_out) > 20
    assert drawn(mix)["a"] == pytest.approx(2 * drawn(mix)["b"], abs=1)


def test_a_data_set_with_nothing_in_it_gives_nothing(tmp_path: Path) -> None:
    assert drawn(mixture(part(tmp_path, "a", 0), part(tmp_path, "b", 3))) == {"b": 3}
    assert drawn(mixture(part(tmp_path, "a", 0, 1), part(tmp_path, "b", 3, 1), strategy=MixStrategy.OVER)) == {"b": 3}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "dataset"),
        ({"dataset": "a", "datasets": [{"name": "b"}]}, "dataset"),
        ({"datasets": [{"name": "a"}, {"name": "a"}]}, "datasets"),
        ({"datasets": [{"name": "a", "weight": 1.0}, {"name": "b"}]}, "datasets"),
        ({"datasets": [{"name": "a", "weight": 0.0}]}, "datasets.0.weight"),
        ({"datasets": [{"name": "../a"}]}, "datasets.0.name"),
        ({"datasets": [{"name": "a"}], "mixStrategy": "interleave_over"}, "mixStrategy"),
        ({"dataset": "a", "validationSplit": 0.1, "validationDataset": "b"}, "validationSplit"),
        ({"dataset": "a", "validationSplit": 1.0}, "validationSplit"),
    ],
)
def test_what_contradicts_itself_is_refused_by_name(fields: dict[str, object], param: str) -> None:
    with pytest.raises(ValidationError) as refused:
        TrainingSpec.model_validate({"modelName": "tiny", **fields})
    assert ".".join(str(step) for step in refused.value.errors()[0]["loc"]) == param
