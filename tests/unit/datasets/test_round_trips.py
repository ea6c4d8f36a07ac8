"""Whatever rows a caller can write, we read back, in every container; whatever bytes they send, we never break."""

import csv
import io
import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.contracts.base import JsonObject
from shared.datasets import json_array
from shared.datasets.ingest import ingest
from shared.datasets.limits import Limits
from shared.kit.errors import ImtsError
from tests.unit.datasets.reading import take

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
ALPACA = st.fixed_dictionaries({"instruction": TEXT.filter(bool), "input": TEXT, "output": TEXT})
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _expected(row: dict[str, str]) -> JsonObject:
    asked = f"{row['instruction']}\n{row['input']}" if row["input"] else row["instruction"]
    return {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": row["output"]}]}


@quick
@given(rows=st.lists(ALPACA, min_size=1, max_size=8), indent=st.sampled_from([None, 2]), ascii_only=st.booleans())
def test_json_and_json_lines_round_trip(
    rows: list[dict[str, str]], indent: int | None, ascii_only: bool, tmp_path: Path
) -> None:
    expected = [_expected(row) for row in rows]
    array = json.dumps(rows, indent=indent, ensure_ascii=ascii_only)
    lines = "\n".join(json.dumps(row, ensure_ascii=ascii_only) for row in rows)
    assert take(array, tmp_path, "a.json")[1] == expected
    assert take(lines, tmp_path, "a.jsonl")[1] == expected


@quick
@given(rows=st.lists(ALPACA, min_size=1, max_size=8))
def test_csv_round_trips(rows: list[dict[str, str]], tmp_path: Path) -> None:
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, fieldnames=["instruction", "input", "output"], quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)
    assert take(stream.getvalue(), tmp_path, "a.csv")[1] == [_expected(row) for row in rows]


@quick
@given(rows=st.lists(ALPACA, min_size=1, max_size=5), chunk=st.integers(min_value=1, max_value=40))
def test_where_a_chunk_ends_does_not_matter(rows: list[dict[str, str]], chunk: int, tmp_path: Path) -> None:
    array = json.dumps(rows, ensure_ascii=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_array, "_CHUNK", chunk)
        assert take(array, tmp_path, "a.json")[1] == [_expected(row) for row in rows]


def _refusal(content: bytes, folder: Path, filename: str) -> ImtsError | None:
    try:
        _, rows = take(content, folder, filename)
    except ImtsError as refusal:
        return refusal
    assert all(row.keys() & {"messages", "text"} for row in rows)
    return None


@quick
@given(content=st.binary(max_size=200), ending=st.sampled_from(["json", "jsonl", "csv", "parquet", "txt", ""]))
def test_any_bytes_are_taken_or_refused_in_words(content: bytes, ending: str, tmp_path: Path) -> None:
    refusal = _refusal(content, tmp_path, f"a.{ending}")
    assert refusal is None or (refusal.status in {413, 422} and refusal.param == "file")


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
COLUMNS = st.sampled_from([
    "instruction", "output", "input", "history", "system", "messages", "conversations", "chosen", "rejected",
    "label", "text", "tools", "images", "prompt", "preferred_output", "role", "content", "from", "value", "tool_calls",
])  # fmt: skip


@quick
@given(row=st.dictionaries(COLUMNS, JSON | st.lists(st.dictionaries(COLUMNS, JSON), max_size=3), max_size=6))
def test_a_row_of_any_shape_is_taken_or_refused_in_words(row: JsonObject, tmp_path: Path) -> None:
    refusal = _refusal(json.dumps(row).encode(), tmp_path, "a.jsonl")
    assert refusal is None or refusal.message.startswith("row 1: ")


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    row = json.dumps({"text": "x" * 2000})
    array = tmp_path / "big.json"
    array.write_text("[" + ",".join([row] * 20_000) + "]")
    tracemalloc.start()
    try:
        with array.open("rb") as source:
            assert ingest(source, "big.json", "auto", tmp_path / "out", Limits()).rows == 20_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert array.stat().st_size > 40_000_000
    assert peak < 8_000_000
