"""An upload is read in a process of its own: what breaks there is an answer here."""

import asyncio
import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from shared.datasets.child import ingest_in_child
from shared.datasets.ingest import IngestReport
from shared.datasets.limits import MEGABYTE, Limits
from shared.kit.errors import InvalidRequest, TooLarge, Unavailable


def _read(path: Path, limits: Limits | None = None, form: str = "auto") -> IngestReport:
    with path.open("rb") as source:
        return asyncio.run(ingest_in_child(source, path.name, form, path.with_name("target.jsonl"), limits or Limits()))


def test_a_good_file_comes_back_as_a_report(tmp_path: Path) -> None:
    path = tmp_path / "good.jsonl"
    path.write_text('{"text": "hello"}\n')
    report = _read(path)
    assert (report.rows, report.format) == (1, "text")
    assert (tmp_path / "target.jsonl").read_bytes() == b'{"text":"hello"}\n'


def test_a_refusal_comes_back_as_the_same_error(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"text": "hello"}\n{"text": 1}\n{"text": 2}\n')
    with pytest.raises(InvalidRequest) as refusal:
        _read(path)
    assert refusal.value.message == "row 2: `text` must be text"
    assert refusal.value.param == "file"
    assert refusal.value.details is not None
    with pytest.raises(TooLarge, match="row 1: is longer than 10 bytes"):
        _read(path, Limits(row_bytes=10))


def test_a_bomb_is_stopped_by_the_memory_limit(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    table = pa.table({"text": pa.array(["x" * (150 * MEGABYTE)])})
    parquet.write_table(table, path, compression="zstd", use_dictionary=False, write_statistics=False)
    assert path.stat().st_size < MEGABYTE
    with pytest.raises(TooLarge, match="memory"):
        _read(path, Limits(memory_bytes=450 * MEGABYTE))


def test_a_file_that_takes_for_ever_is_stopped_by_the_time_limit(tmp_path: Path) -> None:
    path = tmp_path / "slow.jsonl"
    row = json.dumps({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}] * 200})
    path.write_text((row + "\n") * 8_000)
    with pytest.raises(TooLarge, match="takes too long"):
        _read(path, Limits(cpu_s=1))


def test_a_file_name_reaches_no_argument(tmp_path: Path) -> None:
    path = tmp_path / "x.--target=evil\n;rm -rf"
    path.write_text('{"text": "hello"}\n')
    assert _read(path).rows == 1


def test_a_full_disk_is_our_fault_and_passes(tmp_path: Path) -> None:
    path = tmp_path / "good.jsonl"
    path.write_text('{"text": "hello"}\n')
    with pytest.raises(Unavailable) as refusal, path.open("rb") as source:
        asyncio.run(ingest_in_child(source, path.name, "auto", Path("/dev/full"), Limits()))
    assert refusal.value.code == "storage_full"
