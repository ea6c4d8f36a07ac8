"""JSON, JSON Lines, CSV, Parquet and text files hold the same rows; broken ones are refused with the row's number."""

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from shared.datasets.limits import Limits
from shared.kit.errors import InvalidRequest, TooLarge
from tests.unit.datasets.reading import take

ROWS = [{"instruction": f'Say {n} 你好, "{n}"\n', "input": "", "output": str(n)} for n in range(300)]


def _json() -> bytes:
    return json.dumps(ROWS, indent=1).encode()


def _jsonl() -> bytes:
    return "\n\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS).encode()


def _csv(delimiter: str = ",") -> bytes:
    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    lines = [delimiter.join(ROWS[0])] + [delimiter.join(map(cell, row.values())) for row in ROWS]
    return "\r\n".join(lines).encode()


def _parquet(rows: list[dict[str, Any]] = ROWS) -> bytes:
    stream = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows), stream, row_group_size=100)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "filename"),
    [
        (_json(), "a.json"), (_json(), "without-an-ending"), (_json(), "misnamed.jsonl"), (_jsonl(), "a.jsonl"),
        (_jsonl(), "a.json"), (_csv(), "a.csv"), (_csv(";"), "a.csv"), (_csv("\t"), "A.TSV"), (_parquet(), "a.parquet"),
        (_parquet(), ""),
    ],
)  # fmt: skip
def test_the_same_rows_in_any_container_are_the_same_bytes(content: bytes, filename: str, tmp_path: Path) -> None:
    report, rows = take(content, tmp_path, filename)
    expected, expected_rows = take(_jsonl(), tmp_path)
    assert rows == expected_rows
    assert report == expected


@pytest.mark.parametrize("content", [_json(), _jsonl(), _csv()])
def test_a_byte_order_mark_changes_nothing(content: bytes, tmp_path: Path) -> None:
    assert take(b"\xef\xbb\xbf" + content, tmp_path, "a.csv" if content == _csv() else "a.json")[0].rows == 300


def test_a_text_file_has_a_row_a_line(tmp_path: Path) -> None:
    assert take("one\n\n 二 \r\n", tmp_path, "a.txt")[1] == [{"text": "one"}, {"text": "二"}]


def test_csv_carries_conversations_and_labels_as_text(tmp_path: Path) -> None:
    talk = json.dumps([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]).replace('"', '""')
    report, rows = take(f'messages,label\n"{talk}",FALSE\n', tmp_path, "a.csv")
    assert report.format == "kto"
    assert rows[0]["label"] is False


def test_a_spreadsheet_formula_is_kept_as_it_is(tmp_path: Path) -> None:
    formula = '=HYPERLINK("http://evil")'
    _, rows = take("text\n" + '"=HYPERLINK(""http://evil"")"\n', tmp_path, "a.csv")
    assert rows == [{"text": formula}]


def test_parquet_holds_nested_conversations(tmp_path: Path) -> None:
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    report, rows = take(_parquet([{"messages": talk, "id": 1}]), tmp_path, "a.parquet")
    assert report.format == "messages"
    assert rows == [{"messages": talk}]


DEEP = "[" * 100_000
BROKEN: list[tuple[bytes, str, str]] = [
    (b"", "a.json", "the file is empty"),
    (b"\xef\xbb\xbf", "a.csv", "no rows"),
    (b"[]", "a.json", "no rows"),
    (b"\n\n", "a.jsonl", "no rows"),
    (b"instruction,output\n", "a.csv", "no rows"),
    (_parquet([{"text": "x"}])[:60], "a.parquet", "Parquet file is damaged"),
    (b"PAR1" + bytes(100), "a.parquet", "Parquet file is damaged"),
    (_parquet([{"unknown": 1}]), "a.parquet", "no column that a data set form knows"),
    (_parquet([{"text": b"\xff"}]), "a.parquet", "row 1: `text` must be text"),
    (b"not parquet", "a.parquet", "does not start as Parquet"),
    (b"PK\x03\x04....", "a.zip", "zip archive is damaged"),
    (b"\x1f\x8b....", "a.jsonl.gz", "gzip"),
    ("[{}]".encode("utf-16"), "a.json", "not UTF-8"),
    ("[{}]".encode("utf-16-le"), "a.json", "not UTF-8"),
    (b"\xff\xd8\xff\xe0", "a.jpg", "kind cannot be told"),
    (b'{"text": "\xff"}', "a.jsonl", "row 1: is not UTF-8"),
    (b'[{"text": "a"}, {"text": "\xff"}]', "a.json", "is not UTF-8"),
    (b'{"text": "a"}\n{"text": }', "a.jsonl", "row 2: not valid JSON (Expecting value, character 10"),
    (b'{"text": "a"}\n[1]', "a.jsonl", "row 2: is not an object"),
    (b'{"text": "a"}\n' + DEEP.encode(), "a.jsonl", "row 2: is nested too deeply"),
    (b'[{"text":' + DEEP.encode(), "a.json", "row 1: is nested too deeply"),
    (b'[{"text": "a"} {"text": "b"}]', "a.json", "row 1: is followed by neither"),
    (b'[{"text": "a"},]', "a.json", "row 2: is not a JSON object"),
    (b'[{"text": "a"}, 7]', "a.json", "row 2: is not a JSON object"),
    (b'[{"text": "a"}', "a.json", "row 1: is the last one, but the array is not closed"),
    (b'[{"text": "a"}, {"text": "b', "a.json", "row 2: not valid JSON"),
    (b'[{"text": "a"}, {"text": b}]', "a.json", "row 2: not valid JSON"),
    (b'[{"text": "a"}] x', "a.json", "something follows the end"),
    (b'{"text": "a", "text": "b"}', "a.jsonl", "row 1: the same key stands twice"),
    (b'[{"text": NaN}]', "a.json", "row 1: NaN"),
    (b'{"text": ' + b"9" * 5000 + b"}", "a.jsonl", "too many digits"),
    (b'{"text": "\\ud800"}', "a.jsonl", "row 1: holds a lone surrogate"),
    (b"text,text\na,b\n", "a.csv", "names a column twice"),
    (b"text,\na,b\n", "a.csv", "empty column name"),
    (b"instruction,output\na,b\nc\n", "a.csv", "row 2: has 1 columns where the header has 2"),
    (b"instruction,output\na,b\nc,d,e\n", "a.csv", "row 2: has 3 columns"),
    (b'instruction,output\na,b\n"c" d,e\n', "a.csv", "row 2: is broken CSV"),
    (b'instruction,output\na,b\n"c,d\n', "a.csv", "row 2: is broken CSV"),
    (b"instruction,output\na,\xff\n", "a.csv", "row 1: is not UTF-8"),
]


@pytest.mark.parametrize(("content", "filename", "why"), BROKEN, ids=[why for _, _, why in BROKEN])
def test_a_broken_file_is_refused_and_says_where(content: bytes, filename: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        take(content, tmp_path, filename)
    assert why in refusal.value.message
    assert refusal.value.status == 422
    assert refusal.value.param == "file"


SMALL = Limits(rows=3, row_bytes=1000, output_bytes=2000)
LARGE: list[tuple[bytes, str, str]] = [
    (b'{"text": "a"}\n{"text": "' + b"x" * 2000 + b'"}', "a.jsonl", "row 2: is longer than 1000 bytes"),
    (b'[{"text": "a"},{"text": "' + b"x" * 2000 + b'"}]', "a.json", "row 2: is longer than 1000 bytes"),
    (b'[{"text": "' + b"x" * 2_000_000, "a.json", "row 1: is longer than 1000 bytes"),
    (b'text\na\n"' + b"x\n" * 2000, "a.csv", "is longer than 1000 bytes; a closing quote may be missing"),
    (b"text\na\n" + b"x" * 2000, "a.csv", "is longer than 1000 bytes"),
    (b"y" * 2000, "a.txt", "row 1: is longer than 1000 bytes"),
    (_parquet([{"text": "x" * 2000}]), "a.parquet", "row 1: is longer than 1000 bytes"),
    (_parquet([{"text": "x"}] * 4), "a.parquet", "more than 3 rows"),
    (b'{"text": "a"}\n' * 4, "a.jsonl", "more than 3 rows"),
    ((b'{"text": "' + b"x" * 900 + b'"}\n') * 3, "a.jsonl", "more than 2000 bytes"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "filename", "why"), LARGE)
def test_a_file_beyond_a_bound_is_too_large(content: bytes, filename: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(TooLarge) as refusal:
        take(content, tmp_path, filename, limits=SMALL)
    assert why in refusal.value.message
    assert refusal.value.status == 413
