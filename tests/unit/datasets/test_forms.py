"""Each form is told by its first row, and becomes the one form services read."""

import json
from pathlib import Path
from typing import Any

import pytest

from shared.contracts.base import JsonObject
from shared.kit.errors import InvalidRequest
from tests.unit.datasets.reading import take

ASKED: JsonObject = {"role": "user", "content": "2+2?"}
ANSWERED: JsonObject = {"role": "assistant", "content": "4"}
WRONG: JsonObject = {"role": "assistant", "content": "5"}
SYSTEM: JsonObject = {"role": "system", "content": "Be brief."}
HUMAN = {"from": "human", "value": "2+2?"}
GPT = {"from": "gpt", "value": "4"}
CALL = {"from": "function_call", "value": "{}"}
SEEN = {"from": "observation", "value": "4"}
PARTS = [{"type": "text", "text": "2+"}, {"type": "text", "text": "2?"}]

CASES: list[tuple[str, dict[str, Any], JsonObject]] = [
    ("alpaca", {"instruction": "2+2?", "input": "", "output": "4"}, {"messages": [ASKED, ANSWERED]}),
    ("alpaca", {"prompt": "2+2?", "completion": "4"}, {"messages": [ASKED, ANSWERED]}),
    (
        "alpaca",
        {"instruction": "Add", "input": "2, 2", "output": "4", "system": "Be brief.", "history": [["2+2?", "4"]]},
        {"messages": [SYSTEM, ASKED, ANSWERED, {"role": "user", "content": "Add\n2, 2"}, ANSWERED]},
    ),
    ("sharegpt", {"conversations": [HUMAN, GPT], "system": "Be brief."}, {"messages": [SYSTEM, ASKED, ANSWERED]}),
    (
        "sharegpt",
        {
            "conversations": [HUMAN, CALL, SEEN, GPT],
            "tools": '[{"name": "add"}]',
        },
        {
            "messages": [
                ASKED,
                {"role": "assistant", "content": "{}", "tool_call": True},
                {"role": "tool", "content": "4"},
                ANSWERED,
            ],
            "tools": '[{"name": "add"}]',
        },
    ),
    ("messages", {"messages": [SYSTEM, ASKED, ANSWERED]}, {"messages": [SYSTEM, ASKED, ANSWERED]}),
    (
        "messages",
        {"messages": [{"role": "user", "content": PARTS}, ANSWERED]},
        {"messages": [ASKED, ANSWERED]},
    ),
    (
        "messages",
        {
            "messages": [
                ASKED,
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {"id": "a", "type": "function", "function": {"name": "add", "arguments": '{"a": 2}'}},
                        {"id": "b", "type": "function", "function": {"name": "add", "arguments": '{"a": 3}'}},
                    ],
                },
                {"role": "tool", "tool_call_id": "a", "content": "2"},
                {"role": "tool", "tool_call_id": "b", "content": "3"},
                ANSWERED,
            ],
            "tools": [{"name": "add"}],
        },
        {
            "messages": [
                ASKED,
                {
                    "role": "assistant",
                    "content": '[{"name": "add", "arguments": {"a": 2}}, {"name": "add", "arguments": {"a": 3}}]',
                    "tool_call": True,
                },
                {"role": "tool", "content": "2\n3"},
                ANSWERED,
            ],
            "tools": '[{"name": "add"}]',
        },
    ),
    (
        "preference",
        {"conversations": [HUMAN], "chosen": GPT, "rejected": {"from": "gpt", "value": "5"}},
        {"messages": [ASKED], "chosen": ANSWERED, "rejected": WRONG},
    ),
    (
        "preference",
        {"prompt": "2+2?", "chosen": "4", "rejected": "5"},
        {"messages": [ASKED], "chosen": ANSWERED, "rejected": WRONG},
    ),
    (
        "preference",
        {"input": {"messages": [ASKED]}, "preferred_output": [ANSWERED], "non_preferred_output": [WRONG]},
        {"messages": [ASKED], "chosen": ANSWERED, "rejected": WRONG},
    ),
    ("kto", {"messages": [ASKED, ANSWERED], "label": False}, {"messages": [ASKED, ANSWERED], "label": False}),
    ("kto", {"prompt": "2+2?", "completion": "4", "label": True}, {"messages": [ASKED, ANSWERED], "label": True}),
    ("text", {"text": "Once upon a time", "source": "web"}, {"text": "Once upon a time"}),
    ("text", {"text": ""}, {"text": ""}),
]  # fmt: skip


@pytest.mark.parametrize(("form", "row", "expected"), CASES)
def test_a_row_is_recognised_and_normalised(
    form: str, row: dict[str, Any], expected: JsonObject, tmp_path: Path
) -> None:
    report, rows = take(json.dumps(row), tmp_path)
    assert report.format == form
    assert rows == [expected]
    assert take(json.dumps(row), tmp_path, form=form)[1] == rows


BAD: list[tuple[dict[str, Any], str]] = [
    ({"instruction": "2+2?", "output": 4}, "`output` must be text"),
    ({"instruction": "2+2?", "output": None}, "`output` must be text"),
    ({"instruction": "a\0b", "output": "4"}, "NUL"),
    ({"instruction": "2+2?", "output": "4", "history": [["one"]]}, "history"),
    ({"messages": []}, "no message"),
    ({"messages": "not json"}, "not valid JSON"),
    ({"messages": [ASKED]}, "ends without an answer"),
    ({"messages": [ANSWERED]}, "must alternate"),
    ({"messages": [ASKED, ASKED, ANSWERED]}, "must alternate"),
    ({"messages": [ASKED, SYSTEM, ANSWERED]}, "system message that is not its first"),
    ({"messages": [ASKED, {"role": "wizard", "content": "4"}]}, "messages[1]` has no role we know"),
    ({"messages": [ASKED, {"role": ["user"], "content": "4"}]}, "no role we know"),
    ({"messages": [ASKED, {"role": "assistant"}]}, "messages[1].content` must be text"),
    ({"messages": [ASKED, {**ANSWERED, "weight": 0}]}, "weight"),
    ({"messages": [ASKED, {**ANSWERED, "tool_calls": [{}]}]}, "both content and tool_calls"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
        "ends without an answer",
    ),
    ({"messages": [SYSTEM, ASKED, ANSWERED], "system": "Be long."}, "a system column and a system message"),
    ({"messages": [ASKED, ANSWERED], "images": ["/etc/passwd"]}, "has 1 images and 0 times <image>"),
    ({"text": "x", "image": "http://169.254.169.254/"}, "`image`: images go with answered"),
    ({"prompt": "2+2?", "chosen": "4", "rejected": None}, "`rejected` must be"),
    ({"messages": [ASKED, ANSWERED], "chosen": "4", "rejected": "5"}, "prompt that ends with an answer"),
    ({"prompt": "2+2?", "chosen": [ASKED, ANSWERED], "rejected": [WRONG]}, "must be one answer"),
]


@pytest.mark.parametrize(("row", "why"), BAD)
def test_a_row_that_cannot_be_trained_on_is_refused_with_its_number(
    row: dict[str, Any], why: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        take(json.dumps(row), tmp_path)
    assert refusal.value.message.startswith("row 1: ")
    assert why in refusal.value.message
    assert refusal.value.param == "file"


def test_every_bad_row_is_named_up_to_twenty(tmp_path: Path) -> None:
    good, bad = json.dumps({"text": "x"}), json.dumps({"text": 1})
    with pytest.raises(InvalidRequest) as refusal:
        take("\n".join([good, bad, good, bad] + [bad] * 40), tmp_path)
    assert refusal.value.message == "row 2: `text` must be text"
    assert refusal.value.details is not None
    errors = refusal.value.details["errors"]
    assert isinstance(errors, list)
    assert errors[1] == {"row": 4, "message": "`text` must be text"}
    assert len(errors) == 20


def test_a_named_form_wins_over_the_detected_one(tmp_path: Path) -> None:
    row = {"instruction": "2+2?", "output": "4", "text": "both"}
    assert take(json.dumps(row), tmp_path)[0].format == "alpaca"
    assert take(json.dumps(row), tmp_path, form="text")[1] == [{"text": "both"}]
    with pytest.raises(InvalidRequest, match="row 1: `messages` is missing"):
        take(json.dumps(row), tmp_path, form="messages")


def test_an_unknown_form_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="format: must be one of auto, alpaca") as refusal:
        take("{}", tmp_path, form="shareGPT")
    assert refusal.value.param == "format"
    with pytest.raises(InvalidRequest, match="row 1: its columns are of no known form"):
        take('{"script_url": "https://evil/d", "secret": "hunter2"}', tmp_path)


def test_a_refusal_never_repeats_what_the_row_says(tmp_path: Path) -> None:
    for row in ({"secret-key": "hunter2"}, {"messages": [{"role": "hunter2", "content": "hunter2"}]}):
        with pytest.raises(InvalidRequest) as refusal:
            take(json.dumps(row), tmp_path)
        assert "hunter2" not in refusal.value.message
        assert "secret-key" not in refusal.value.message
