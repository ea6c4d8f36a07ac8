"""The newest value of every figure."""

from datetime import UTC, datetime

from services.stream.log.figures import MAX_FIGURES, Source, merge, view
from shared.contracts.base import JsonObject

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _after(*events: tuple[int, JsonObject]) -> JsonObject:
    figures: JsonObject = {}
    for seq, (attempt, data) in enumerate(events, 1):
        figures = merge(figures, data, Source(seq, attempt, NOW))
    return figures


def test_a_later_value_wins_and_a_rare_one_stays() -> None:
    answer = view("job-x", _after((1, {"step": 1, "val_loss": 2.0}), (1, {"step": 2, "train_loss": 1.0})))
    assert answer.data == {"step": 2, "val_loss": 2.0, "train_loss": 1.0}
    assert (answer.seq, answer.attempt, answer.timestamp) == (2, 1, NOW)


def test_a_late_event_of_an_older_attempt_changes_nothing_the_newer_one_said() -> None:
    answer = view("job-x", _after((2, {"step": 5}), (1, {"step": 9, "only_old": 1})))
    assert answer.data == {"step": 5, "only_old": 1}
    assert answer.attempt == 2


def test_a_figure_that_is_a_number_again_is_no_longer_called_non_finite() -> None:
    broken: JsonObject = {"train_loss": None, "non_finite": ["train_loss"]}
    assert view("job-x", _after((1, broken))).data == broken
    assert view("job-x", _after((1, broken), (1, {"train_loss": 1.0}))).data == {"train_loss": 1.0}


def test_the_number_of_figures_is_bounded() -> None:
    many: JsonObject = {f"f{number}": number for number in range(MAX_FIGURES * 2)}
    assert len(view("job-x", _after((1, many))).data) == MAX_FIGURES


def test_no_figures_is_an_empty_answer() -> None:
    assert view("job-x", None).model_dump() == {
        "job_id": "job-x", "attempt": None, "seq": 0, "timestamp": None, "data": {},
    }  # fmt: skip
