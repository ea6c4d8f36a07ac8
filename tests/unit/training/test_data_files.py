"""Normalised rows become what LLaMA-Factory reads, or are left out by name."""

import json
from pathlib import Path
from typing import Any

import pytest
from pyarrow import ipc

from services.training.data_files import BadRow, rows_in, write_data
from services.training.mixing import whole
from services.training.questions import questions
from services.training.stage_rows import RowUnfit, kto_row, preference_row, pt_row, sft_row
from services.training.tool_use import ToolFault, check_call, complete_tools
from shared.contracts.training import Stage

USER = {"role": "user", "content": "1 + 1?"}
ANSWER = {"role": "assistant", "content": "2"}
SYSTEM = {"role": "system", "content": "Be brief."}


def blob(folder: Path, *rows: Any) -> Path:
    path = folder / "blob"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def test_a_data_set_is_written_with_its_description(tmp_path: Path) -> None:
    rows = blob(tmp_path, {"messages": [USER, ANSWER]}, {"text": "no conversation"})
    report = write_data(tmp_path / "data", Stage.SFT, {"train": whole("facts@1", rows)})["train"]
    assert (report.rows, report.dropped_rows) == (1, [2])
    assert rows_in(tmp_path / "data", "train") == 1
    info = json.loads((tmp_path / "data" / "dataset_info.json").read_text())
    assert info["train"]["file_name"] == "train.arrow"
    with ipc.open_stream(tmp_path / "data" / "train.arrow") as rows_written:
        found = rows_written.read_all().to_pylist()
    assert found == [{"messages": [USER, ANSWER], "tools": ""}]


@pytest.mark.parametrize(
    "bad", [{"messages": [USER, {"role": "assistant", "content": 5}]}, {"messages": [USER, {"role": "assistant"}]}, 7]
)
def test_a_row_that_is_no_normalised_row_is_named(tmp_path: Path, bad: Any) -> None:
    unfit = {"text": "no conversation"}
    rows = blob(tmp_path, unfit, *[{"messages": [USER, ANSWER]}] * 3, bad, {"messages": [USER, ANSWER]})
    with pytest.raises(BadRow) as caught:
        write_data(tmp_path / "data", Stage.SFT, {"train": whole("facts@1", rows)})
    assert (caught.value.dataset, caught.value.number) == ("facts@1", 5)


def test_a_line_that_is_not_json_is_named(tmp_path: Path) -> None:
    rows = blob(tmp_path, {"messages": [USER, ANSWER]})
    rows.write_text(rows.read_text() + '{"messages": [')
    with pytest.raises(BadRow) as caught:
        write_data(tmp_path / "data", Stage.SFT, {"train": whole("facts@1", rows)})
    assert caught.value.number == 2


def test_an_empty_data_set_makes_an_empty_file(tmp_path: Path) -> None:
    assert write_data(tmp_path / "data", Stage.PT, {"train": whole("facts@1", blob(tmp_path))})["train"].rows == 0


@pytest.mark.parametrize(
    "messages",
    [None, [], [SYSTEM], [USER], [ANSWER, USER], [USER, USER, ANSWER, ANSWER], [USER, SYSTEM]],
)
def test_a_conversation_without_an_answer_to_learn_is_unfit(messages: Any) -> None:
    with pytest.raises(RowUnfit):
        sft_row({"messages": messages})


def test_a_system_message_may_come_first() -> None:
    assert sft_row({"messages": [SYSTEM, USER, ANSWER]})["messages"][0] == SYSTEM


def test_a_call_of_a_tool_is_told_from_an_answer() -> None:
    call = {"role": "assistant", "content": '{"name": "add", "arguments": {}}', "tool_call": True}
    row = sft_row({"messages": [USER, call], "tools": '[{"name": "add"}]'})
    assert row["messages"][1]["role"] == "tool_call"
    assert json.loads(row["tools"])[0]["parameters"] == {"type": "object", "properties": {}}


@pytest.mark.parametrize("text", ["add(1)", "3", '{"name": "add"}', '[{"arguments": {}}]'])
def test_an_unreadable_call_is_a_fault(text: str) -> None:
    with pytest.raises(ToolFault):
        check_call(text)


def test_a_call_in_its_templates_own_markup_is_left_to_the_template() -> None:
    check_call('<think>so</think>{"name": "add", "arguments": {}}')


@pytest.mark.parametrize("text", ["[", '["add"]', "[{}]", '[{"name": "a", "parameters": {"properties": {"x": 1}}}]'])
def test_an_unreadable_definition_is_a_fault(text: str) -> None:
    with pytest.raises(ToolFault):
        complete_tools(text)


def test_pre_training_reads_conversations_as_text() -> None:
    assert pt_row({"messages": [USER, ANSWER]}) == {"text": "1 + 1?\n2"}
    assert pt_row({"messages": [USER], "chosen": ANSWER}) == {"text": "1 + 1?\n2"}
    with pytest.raises(RowUnfit):
        pt_row({"text": "  "})


def test_a_preference_is_a_question_with_two_different_answers() -> None:
    other = {"role": "assistant", "content": "3"}
    row = preference_row({"messages": [SYSTEM, USER], "chosen": ANSWER, "rejected": other})
    assert (row["messages"], row["chosen"], row["rejected"]) == ([SYSTEM, USER], ANSWER, other)
    for unfit in (
        {"messages": [USER, ANSWER]},
        {"messages": [USER, ANSWER], "chosen": ANSWER, "rejected": other},
        {"messages": [USER], "chosen": ANSWER, "rejected": ANSWER},
    ):
        with pytest.raises(RowUnfit):
            preference_row(unfit)


@pytest.mark.parametrize("label", [None, "true", 1])
def test_an_answer_without_a_label_teaches_kto_nothing(label: Any) -> None:
    assert kto_row({"messages": [USER, ANSWER], "label": False})["label"] is False
    with pytest.raises(RowUnfit):
        kto_row({"messages": [USER, ANSWER], "label": label})


def test_a_tiny_model_is_made_from_questions_and_never_sees_an_answer(tmp_path: Path) -> None:
    rows = blob(tmp_path, {"messages": [SYSTEM, USER, ANSWER]}, {"text": "plain"})
    assert list(questions(rows)) == ["Be brief.", "1 + 1?", "plain"]
