"""Figures are named by dotted names."""

import pytest

from services.stream.log.keys import json_paths, numbers, parse_keys, pick
from shared.contracts.base import JsonObject
from shared.kit.errors import InvalidRequest

DATA: JsonObject = {
    "step": 7, "train_loss": 0.5, "done": True, "eta": "00:01:00", "eval.loss": 2, "训练": 1,
    "advanced_metrics": {"gradient_norm": 1.5, "lr_schedule": "cosine", "deep": {"a": None}},
}  # fmt: skip


def test_names_come_in_one_text_or_several_and_count_once() -> None:
    assert parse_keys(["a, b", "c", "a"]) == ("a", "b", "c")
    assert parse_keys([]) == ()
    assert parse_keys(["advanced_metrics.gradient_norm,训练,train/loss"])[1:] == ("训练", "train/loss")


@pytest.mark.parametrize(
    "given",
    ["", "a,,b", ".", "a.", ".a", "a..b", 'a"b', "a\\b", "a\x00b", "a\nb", "x" * 129, "a.b.c.d.e", "\ud800"],
)
def test_what_is_no_name_is_refused(given: str) -> None:
    with pytest.raises(InvalidRequest, match="names of figures") as refused:
        parse_keys([given])
    assert refused.value.param == "keys"


def test_a_flood_of_names_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="32 names at most"):
        parse_keys([",".join(f"k{number}" for number in range(33))])


def test_data_is_cut_down_to_the_names_and_keeps_its_shape() -> None:
    assert pick(DATA, ("train_loss", "advanced_metrics.gradient_norm", "absent", "advanced_metrics.absent.x")) == {
        "train_loss": 0.5, "advanced_metrics": {"gradient_norm": 1.5}
    }  # fmt: skip
    assert pick(DATA, ("eval.loss", "advanced_metrics.deep.a", "advanced_metrics.gradient_norm")) == {
        "eval.loss": 2, "advanced_metrics": {"deep": {"a": None}, "gradient_norm": 1.5}
    }  # fmt: skip


def test_a_name_with_a_dot_is_looked_for_inside_first() -> None:
    assert json_paths("a.b") == ('$."a"."b"', '$."a.b"')
    assert json_paths("loss") == ('$."loss"',)
    assert pick({"a.b": 1, "a": {"b": 2}}, ("a.b",)) == {"a": {"b": 2}}
    assert numbers({"a.b": 1, "a": {"b": 2}}) == {"a.b": 2}


def test_every_number_has_a_name() -> None:
    assert numbers(DATA) == {
        "step": 7, "train_loss": 0.5, "eval.loss": 2, "训练": 1, "advanced_metrics.gradient_norm": 1.5
    }  # fmt: skip
    assert numbers({'quo"te': 1, "x" * 200: 2}) == {}
